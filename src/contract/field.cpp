#include <re2/re2.h>

#include <algorithm>

#include "base/clock.hpp"
#include "contract/code.hpp"

namespace heddle::contract {
namespace {

using expr::Type;

Error invalid_field(const std::string& id, std::string message, std::string hint) {
  return Error{ErrorKind::kInvalid, id, std::move(message), std::move(hint)};
}

bool is_number(Type type) { return type == Type::kInt || type == Type::kDouble; }

std::string range_text(const spec::Field& field) {
  const auto bound = [&](const auto& number, const auto& time, std::string_view none) {
    if (number) return fmt::to_string(*number);
    if (!time) return std::string(none);
    return field.form == spec::Form::kTime
               ? fmt::format("{} s after midnight", static_cast<double>(*time) / 1e6)
               : format_time(*time);
  };
  return fmt::format(
      "`{}` is {} {} and {} {}", field.name, field.minimum_excluded ? "above" : "at least",
      bound(field.minimum, field.earliest, "-inf"), field.maximum_excluded ? "below" : "at most",
      bound(field.maximum, field.latest, "inf"));
}

/// Compiles the rules of one field, in the order of their names in docs/formats/contract.md.
class FieldCompiler {
 public:
  FieldCompiler(spec::Field& field, const AddRule& add) : field_(field), add_(add) {}

  Result<FieldCode> compile(const Contract::LoadEnum& load_enum) {
    out_.type = rule("type", fmt::format("`{}` is a {}", field_.name, type_text()));
    if (field_.required)
      out_.required = rule("required", fmt::format("`{}` has a value", field_.name));
    HEDDLE_TRY(enumeration(load_enum));
    HEDDLE_TRY(range());
    HEDDLE_TRY(pattern());
    HEDDLE_TRY(length());
    HEDDLE_TRY(multiple());
    HEDDLE_TRY(form());
    out_.is_plain = out_.length < 0 && out_.multiple < 0 && field_.form == spec::Form::kAny;
    return std::move(out_);
  }

 private:
  int rule(const char* suffix, std::string description) {
    return add_({fmt::format("{}-{}", field_.name, suffix), RuleEffect::kRefuse, field_.name,
                 std::move(description)});
  }

  [[nodiscard]] std::string_view type_text() const {
    if (field_.form == spec::Form::kDate) return "date";
    return field_.form == spec::Form::kTime ? "time" : expr::type_name(field_.type);
  }

  [[nodiscard]] Error misfit(std::string_view what, std::string_view who) const {
    return invalid_field(
        fmt::format("contract-{}-type", what),
        fmt::format("`{}` is a {}: only {} have a {}", field_.name, type_text(), who, what),
        fmt::format("remove the {}, or use a custom rule", what));
  }

  Result<void> enumeration(const Contract::LoadEnum& load_enum) {
    // A stored contract has the values; a definition has them read.
    if (!field_.enum_file.empty() && field_.enum_values.empty()) {
      HEDDLE_ASSIGN_OR_RETURN(const auto values, load_enum(field_.enum_file, field_.enum_column));
      for (const auto& value : values) field_.enum_values.emplace_back(value);
      if (field_.enum_values.empty()) {
        return invalid_field("contract-enum-empty",
                             fmt::format("the enum of `{}` has no values", field_.name),
                             "a field with an empty enum would refuse every row");
      }
    }
    if (field_.enum_values.empty()) return {};
    out_.enumeration = rule(
        "enum", fmt::format("`{}` is one of {} values", field_.name, field_.enum_values.size()));
    for (auto& value : field_.enum_values) {
      HEDDLE_ASSIGN_OR_RETURN(value, spec::typed_value(field_, value));
      if (field_.type == Type::kString) {
        out_.values.insert(value.as_string());
        continue;
      }
      // Numbers and times by their keys, which the check of a row finds without making a text.
      table::KeyPart part(field_.type);
      const bool is_time = field_.type == Type::kTimestamp;
      HEDDLE_ASSIGN_OR_RETURN(
          const auto key,
          part.insert_value(is_time ? doc::Value(*parse_time(value.as_string())) : value));
      out_.keys.push_back(key);
    }
    // For the binary search of `has_key`.
    std::sort(out_.keys.begin(), out_.keys.end());
    return {};
  }

  Result<void> range() {
    const bool has_numbers = field_.minimum || field_.maximum;
    const bool has_times = field_.earliest || field_.latest;
    if (!has_numbers && !has_times) return {};
    const bool is_time = field_.type == Type::kTimestamp || field_.form == spec::Form::kTime;
    if (has_numbers && !is_number(field_.type)) return misfit("range", "numbers");
    if (has_times && !is_time) return misfit("range", "times");
    out_.range = rule("range", range_text(field_));
    return {};
  }

  Result<void> pattern() {
    if (field_.pattern.empty()) return {};
    if (field_.type != Type::kString) return misfit("pattern", "strings");
    HEDDLE_ASSIGN_OR_RETURN(
        out_.expression, compile_pattern(field_.pattern, fmt::format("field `{}`", field_.name)));
    out_.pattern = rule("pattern", fmt::format("`{}` matches `{}`", field_.name, field_.pattern));
    // Once for each value of the enum, not for each row.
    for (const auto& value : out_.values.values()) {
      out_.value_fits.push_back(RE2::PartialMatch(value, *out_.expression) ? 1 : 0);
    }
    return {};
  }

  Result<void> length() {
    if (!field_.min_length && !field_.max_length) return {};
    if (field_.type != Type::kString) return misfit("length", "strings");
    out_.length = rule("length", fmt::format("`{}` has at least {} and at most {} characters",
                                             field_.name, field_.min_length.value_or(0),
                                             field_.max_length ? fmt::to_string(*field_.max_length)
                                                               : "any number of"));
    return {};
  }

  Result<void> multiple() {
    if (!field_.multiple_of) return {};
    if (!is_number(field_.type) || !(*field_.multiple_of > 0)) return misfit("multiple", "numbers");
    out_.multiple =
        rule("multiple", fmt::format("`{}` is a multiple of {}", field_.name, *field_.multiple_of));
    return {};
  }

  Result<void> form() {
    if (field_.form == spec::Form::kAny) return {};
    const Type due = field_.form == spec::Form::kDate ? Type::kTimestamp : Type::kString;
    if (field_.type != due) return misfit("format", "strings");
    // A date and a time of day speak through the type's own rule.
    if (field_.form == spec::Form::kDate || field_.form == spec::Form::kTime) return {};
    out_.format =
        rule("format", fmt::format("`{}` has the form that its `format` names", field_.name));
    return {};
  }

  spec::Field& field_;
  const AddRule& add_;
  FieldCode out_;
};

}  // namespace

Result<std::unique_ptr<re2::RE2>> compile_pattern(const std::string& text,
                                                  const std::string& what) {
  RE2::Options options;
  options.set_log_errors(false);
  auto pattern = std::make_unique<re2::RE2>(text, options);
  if (!pattern->ok()) {
    return invalid_field(
        "contract-pattern",
        fmt::format("{}: `{}` is no regular expression: {}", what, text, pattern->error()),
        "the syntax is RE2's; `.*` and classes work, look-around and back-references do not");
  }
  return pattern;
}

Result<FieldCode> compile_field(spec::Field& field, const Contract::LoadEnum& load_enum,
                                const AddRule& add) {
  return FieldCompiler(field, add).compile(load_enum);
}

}  // namespace heddle::contract
