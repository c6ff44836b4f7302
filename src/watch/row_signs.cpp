#include "watch/row_signs.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace heddle::watch {
namespace {

/// Of a text so many bytes are kept: two values that differ only behind them count as one.
constexpr std::size_t kKept = 32;
/// Fewer rows do not say what is usual.
constexpr std::int64_t kUsualRows = 30;
/// A field whose commonest value leads by more is nearly constant: that refused rows have one value
/// says nothing then.
constexpr double kUsualLead = 0.5;

std::string text_of(const expr::Datum& value) {
  switch (value.kind) {
    case expr::Datum::Kind::kString: return std::string(value.str().substr(0, kKept));
    case expr::Datum::Kind::kDouble: return fmt::format("{}", value.d);
    case expr::Datum::Kind::kNull: return {};
    default: return fmt::format("{}", value.i);
  }
}

}  // namespace

void RowSigns::Majority::add(const std::string& text) {
  ++rows;
  // Without a candidate the value becomes it; a vote for another one costs it a vote.
  if (votes == 0) value = text;
  votes += value == text ? 1 : -1;
}

RowSigns::RowSigns(const spec::Contract& contract) {
  for (const spec::Field& field : contract.fields) {
    if (field.label_time) continue;
    // The fields' own rules (docs/formats/contract.md). A pattern or a format that is not met is a
    // value that came in another form.
    names_.push_back({field.name,
                      {{field.name + "-required", Sign::kAbsent},
                       {field.name + "-type", Sign::kUnreadable},
                       {field.name + "-format", Sign::kUnreadable},
                       {field.name + "-enum", Sign::kUnlisted}}});
  }
  fields_.resize(names_.size());
}

void RowSigns::usual(const FieldOf& field_of) {
  // What is usual needs no more than a sample; each row would cost a text a field.
  if (answered_++ % kEvery != 0) return;
  for (std::size_t i = 0; i < names_.size(); ++i)
    fields_[i].usual.add(text_of(field_of(names_[i].name)));
}

void RowSigns::refused(const plane::RowRecord& row, const FieldOf& field_of) {
  for (std::size_t i = 0; i < names_.size(); ++i) {
    Field& field = fields_[i];
    for (const std::string& rule : row.rules) {
      const auto at = names_[i].rules.find(rule);
      if (at == names_[i].rules.end()) continue;
      switch (at->second) {
        case Sign::kAbsent: ++field.absent; break;
        case Sign::kUnreadable: ++field.unreadable; break;
        case Sign::kUnlisted: ++field.unlisted; break;
      }
    }
    field.refused.add(text_of(field_of(names_[i].name)));
  }
}

doc::Value RowSigns::take() {
  doc::Value out = doc::Value::object();
  for (std::size_t i = 0; i < names_.size(); ++i) {
    Field& field = fields_[i];
    doc::Value signs = doc::Value::object();
    for (const auto& [name, count] : {std::pair{"absent", field.absent},
                                      {"unreadable", field.unreadable},
                                      {"unlisted", field.unlisted}}) {
      if (count > 0) signs.set(name, count);
    }
    const Majority& usual = field.usual;
    const bool varies =
        usual.rows >= kUsualRows &&
        static_cast<double>(usual.votes) < kUsualLead * static_cast<double>(usual.rows);
    // Rows with the value less the others, and all of them, give the rows with it. An empty text is
    // a value that is absent or cannot be read, which the other signs say.
    if (varies && field.refused.votes > 0 && !field.refused.value.empty())
      signs.set("same", (field.refused.votes + field.refused.rows) / 2);
    field.absent = field.unreadable = field.unlisted = 0;
    field.refused = {};
    if (signs.size() > 0) out.set(names_[i].name, std::move(signs));
  }
  return out;
}

void RowSigns::save(StateWriter& out) const {
  out.put(answered_);
  out.put(std::uint64_t{fields_.size()});
  for (const Field& field : fields_) {
    for (const std::int64_t count : {field.absent, field.unreadable, field.unlisted})
      out.put(count);
    for (const Majority* each : {&field.refused, &field.usual}) {
      out.put(each->value);
      out.put(each->votes);
      out.put(each->rows);
    }
  }
}

void RowSigns::load(StateReader& in) {
  answered_ = in.i64();
  const std::uint64_t count = in.count();
  for (std::uint64_t i = 0; i < count; ++i) {
    Field field;
    for (std::int64_t* each : {&field.absent, &field.unreadable, &field.unlisted}) *each = in.i64();
    for (Majority* each : {&field.refused, &field.usual}) {
      each->value = in.text();
      each->votes = in.i64();
      each->rows = in.i64();
    }
    // The contract may have become another since: then what was counted is of other fields.
    if (count == fields_.size()) fields_[i] = std::move(field);
  }
}

}  // namespace heddle::watch
