#include "serve/rows.hpp"

#include <algorithm>

#include <fmt/ranges.h>

namespace heddle::serve {
namespace {

constexpr std::size_t kMostStrayName = 64;

/// What labels a task has, for a message.
std::string_view labels_of(const stats::Task& task) {
  switch (task.kind) {
    case stats::TaskKind::kBinary: return "true or false, or 1 or 0";
    case stats::TaskKind::kRegression: return "a finite number";
    case stats::TaskKind::kClasses: break;
  }
  return task.whole_classes ? "one of the model's classes, a whole number"
                            : "one of the model's classes, a string";
}

/// Why this is no label of the task, by what `Task::code_of` said of it.
Error refusal(const stats::Task& task, const stats::Label& label, Error said) {
  // A client chose the text: a message does not repeat all of a long one.
  const auto* text = std::get_if<std::string>(&label);
  if (text != nullptr && text->size() > kMostShown) {
    auto again = task.code_of(stats::Label(std::string(shown(*text)) + "..."));
    if (!again.ok()) said = std::move(again).error();
  }
  said.kind = ErrorKind::kUnprocessable;
  if (task.kind == stats::TaskKind::kBinary) said.id = "label-value";
  said.hint = fmt::format("a label of this service is {}", labels_of(task));
  return said;
}

}  // namespace

FieldNames::FieldNames(std::span<const spec::Field> fields) {
  for (const spec::Field& field : fields) {
    by_name_.push_back(static_cast<std::uint32_t>(names_.size()));
    names_.push_back(field.name);
  }
  std::ranges::sort(by_name_, {},
                    [this](std::uint32_t at) -> std::string_view { return names_[at]; });
}

int FieldNames::find(std::string_view name, std::size_t hint) const noexcept {
  // A field that is left out moves the others by one.
  for (std::size_t at = hint; at < std::min(hint + 2, names_.size()); ++at) {
    if (names_[at] == name) return static_cast<int>(at);
  }
  const auto found = std::ranges::lower_bound(
      by_name_, name, {}, [this](std::uint32_t at) -> std::string_view { return names_[at]; });
  return found != by_name_.end() && names_[*found] == name ? static_cast<int>(*found) : -1;
}

std::string FieldNames::list() const { return fmt::format("`{}`", fmt::join(names_, "`, `")); }

void Rows::clear() {
  request_id = source = model = {};
  event_time.reset();
  timeout_us = 0;
  count = 0;
  values.clear();
  outputs.clear();
  stray.clear();
}

void Rows::add_stray(std::size_t row, std::string_view rule, std::string_view name) {
  const std::size_t there = stray.size();
  if (there >= kMostStray && stray[there - kMostStray].row == row) return;
  Stray& added = stray.emplace_back();
  added.row = static_cast<std::uint32_t>(row);
  added.rule.append(rule).push_back('/');
  // A client chose the name: it goes into answers, the journal and incidents, so only what a name
  // needs is kept.
  for (const char c : name.substr(0, kMostStrayName)) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '-' || c == '.' || c == ' ';
    added.rule.push_back(plain ? c : '?');
  }
}

std::span<const Rows::Stray> Rows::stray_of(std::size_t row) const noexcept {
  const auto [first, last] = std::ranges::equal_range(
      stray, row, {}, [](const Stray& each) { return std::size_t{each.row}; });
  return {first, last};
}

std::string_view shown(std::string_view name) noexcept { return name.substr(0, kMostShown); }

Error repeated(std::string_view name) {
  return Error{ErrorKind::kInvalid, "request-repeated",
               fmt::format("`{}` appears more than once", shown(name)), "give each name once"};
}

bool is_of_a_row(const LabelIn& label) noexcept {
  const auto hash = label.row_id.find('#');
  const std::string_view index =
      hash == std::string_view::npos ? std::string_view() : label.row_id.substr(hash + 1);
  return hash > 0 && !index.empty() &&
         std::all_of(index.begin(), index.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_of_a_new_class(const LabelIn& label, const Error& refused) noexcept {
  if (refused.id != "label-class-unknown" || !is_of_a_row(label)) return false;
  const auto* text = std::get_if<std::string>(&*label.label);
  return text == nullptr || text->size() <= kMostShown;
}

Result<void> check_label(const LabelIn& label, const stats::Task& task) {
  if (label.fault.has_value()) return *label.fault;
  if (!label.label.has_value()) {
    return Error{ErrorKind::kUnprocessable, "label-value", "there is no label",
                 fmt::format("a label is {}", labels_of(task))};
  }
  if (auto code = task.code_of(*label.label); !code.ok())
    return refusal(task, *label.label, std::move(code).error());
  if (is_of_a_row(label)) return {};
  return Error{ErrorKind::kUnprocessable, "label-row-id",
               label.row_id.empty() ? "the label has no `row_id`"
                                    : fmt::format("no row has the id `{}`", label.row_id),
               "a row's id is the id of its request, `#` and its place from 0: `q-17#0`; each "
               "answer has both"};
}

bool is_id(std::string_view text, bool with_hash) noexcept {
  const std::size_t most = with_hash ? kLongestId + kLongestIndex : kLongestId;
  return !text.empty() && text.size() <= most && std::all_of(text.begin(), text.end(), [&](char c) {
    return c > 0x20 && c < 0x7f && c != '"' && c != '\\' && (with_hash || c != '#');
  });
}

}  // namespace heddle::serve
