#include "spec/checking.hpp"

#include <algorithm>
#include <charconv>

#include "spec/environment.hpp"

namespace heddle::spec {

bool is_plain_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("._-@+").find(c) != std::string_view::npos;
  });
}

doc::Diagnostic& Checking::report(const std::string& file, doc::Position at, std::string id,
                                  std::string message, std::string hint) {
  doc::Diagnostic diagnostic;
  diagnostic.id = std::move(id);
  diagnostic.message = std::move(message);
  diagnostic.file = file;
  diagnostic.position = at;
  diagnostic.hint = std::move(hint);
  diagnostics_.push_back(std::move(diagnostic));
  return diagnostics_.back();
}

doc::Position Checking::at(const Identity& identity, std::string_view key) {
  const doc::Value* value = identity.content.find(key);
  return value == nullptr ? identity.content.position() : value->position();
}

doc::Position Checking::at(const Identity& identity, std::string_view key, std::size_t i) {
  const doc::Value* list = identity.content.find(key);
  const bool is_there = list != nullptr && list->is_array() && i < list->size();
  return is_there ? list->as_array()[i].position() : at(identity, key);
}

doc::Position Checking::inside(const std::string& file, const Expression& expression,
                               std::size_t offset) const {
  doc::Position at = expression.position;
  const auto text = texts_.find(file);
  // A definition from memory, or one whose place is not known.
  if (text == texts_.end() || at.line < 1) return at;
  std::size_t begin = 0;
  for (int i = 1; i < at.line; ++i) begin = text->second.find('\n', begin) + 1;
  begin += static_cast<std::size_t>(at.column - 1);
  if (begin >= text->second.size()) return at;
  const char first = text->second[begin];
  // The text of a block scalar is indented or folded in the file: offsets do not carry over.
  if (first == '|' || first == '>') return at;
  if (first == '"' || first == '\'') ++begin, ++at.column;
  // An escape or a folded line makes the file's text another than the expression's: its beginning
  // is as near as it gets.
  if (text->second.compare(begin, expression.text.size(), expression.text) != 0) return at;
  at.column += static_cast<int>(offset);
  return at;
}

expr::Type Checking::compile(const std::string& file, const std::string& what,
                             const Expression& expression, const Setting& setting,
                             expr::Type expected) {
  auto program = expr::Program::compile(expression.text, setting.environment, expected);
  if (program.ok()) {
    check_outcome(file, what, expression, setting);
    return program->type();
  }
  const Error& error = program.error();
  std::size_t offset = 0;
  // `Program::compile` gives the place as `offset N`.
  if (error.where.starts_with("offset ")) {
    std::from_chars(error.where.data() + 7, error.where.data() + error.where.size(), offset);
  }
  report(file, inside(file, expression, offset), "bad-expression",
         fmt::format("{}: {}", what, error.message),
         error.hint.empty() ? "`docs/expressions.md` has the language" : error.hint);
  return expr::Type::kNull;
}

void Checking::check_outcome(const std::string& file, const std::string& what,
                             const Expression& expression, const Setting& setting) {
  const auto outcomes = expr::outcomes_of(expression.text, setting.environment, setting.domains);
  for (auto& found : check_outcomes(setting.use, what, outcomes)) {
    report(file, inside(file, expression, found.offset), std::move(found.id),
           std::move(found.message), std::move(found.hint))
        .severity = found.severity;
  }
}

void Checking::unique(const std::string& file, std::set<std::string>& seen, const std::string& name,
                      doc::Position position, std::string_view what) {
  // Two that lack a name are not duplicates of each other: `missing-key` tells of both.
  if (name.empty() || seen.insert(name).second) return;
  report(file, position, "duplicate-name", fmt::format("{} `{}` appears twice", what, name),
         "rename one of the two");
}

bool Checking::has_field(const Contract& contract, const std::string& name) const {
  return std::any_of(contract.fields.begin(), contract.fields.end(),
                     [&](const Field& field) { return field.name == name; });
}

void Checking::need_field(const std::string& file, doc::Position position, const Contract& contract,
                          const std::string& name, std::string_view what) {
  // No name was written: where one is needed, `missing-key` says so.
  if (name.empty() || has_field(contract, name)) return;
  if (std::find(contract.unread.begin(), contract.unread.end(), name) != contract.unread.end()) {
    report(file, position, "field-not-read",
           fmt::format("{} names `{}`, which contract `{}` has and a flat row cannot hold", what,
                       name, contract.identity.name),
           "flatten it at the source, or give it a `logicalType` of a single value");
    return;
  }
  std::vector<std::string> names;
  for (const auto& field : contract.fields) names.push_back(field.name);
  const std::string near = doc::nearest(name, names);
  report(file, position, "unknown-name",
         fmt::format("{} names `{}`, which is no field of contract `{}`", what, name,
                     contract.identity.name),
         near.empty() ? fmt::format("the fields are `{}`", fmt::join(names, "`, `"))
                      : fmt::format("did you mean `{}`?", near));
}

void Checking::check_unread(const Contract& contract, const std::string& text,
                            const std::string& file, doc::Position position,
                            const std::string& what) {
  const auto names = expr::names_in(text);
  // What does not parse is reported when it is compiled.
  if (!names.ok()) return;
  for (const auto& name : *names) {
    if (std::find(contract.unread.begin(), contract.unread.end(), name) != contract.unread.end())
      need_field(file, position, contract, name, what);
  }
}

bool Checking::reads_label(const Contract& contract, const std::string& text,
                           const std::string& file, doc::Position position,
                           const std::string& what) {
  const auto names = expr::names_in(text);
  if (!names.ok()) return false;
  for (const auto& field : contract.fields) {
    if (!field.label_time || std::find(names->begin(), names->end(), field.name) == names->end())
      continue;
    report(file, position, "reads-label",
           fmt::format("{} reads `{}`, which is known only after the answer", what, field.name),
           "use what a request carries; the target may enter only through `target_encoding`");
    // One label is enough to refuse it.
    return true;
  }
  return false;
}

const Contract* Checking::contract_of(const Model& model) const {
  const auto set = project_.feature_sets.find(model.features);
  if (set == project_.feature_sets.end()) return nullptr;
  const auto contract = project_.contracts.find(set->second.contract);
  return contract == project_.contracts.end() ? nullptr : &contract->second;
}

const Contract* Checking::contract_of(const Service& service) const {
  const auto model = project_.models.find(service.model);
  return model == project_.models.end() ? nullptr : contract_of(model->second);
}

}  // namespace heddle::spec
