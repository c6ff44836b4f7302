#include <algorithm>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "spec/environment.hpp"
#include "spec/kinds.hpp"

namespace heddle::spec {
namespace {

/// Requests that name no source are from it.
constexpr std::string_view kNoSource = "default";

/// Calls `take` with each name and text of a map of texts.
template <class Take>
void read_texts(std::string_view key, const doc::Value& value, Reader& reader, Take take) {
  for (const auto& [name, text] : value.as_object()) {
    if (text.is_string()) {
      take(name, text);
      continue;
    }
    reader.report(text.position(), "wrong-type",
                  fmt::format("`{}.{}` must be a string, found {}", key, name, text.type_name()),
                  text.is_null()
                      ? "put it in quotes: `\"null\"` is an expression that gives no value"
                      : "put it in quotes to make it a string");
  }
}

void read_share(Fault& into, const doc::Value& value, Reader& reader) {
  const auto& items = value.as_array();
  if (items.size() == 2) {
    into.share_from = items[0].as_double();
    into.share_to = items[1].as_double();
    // Written so that NaN is refused too.
    if (into.share_from >= 0 && into.share_from < into.share_to && into.share_to <= 1) return;
  }
  // As if it were not written, so that nothing else is found because of it.
  into.share_from = 0, into.share_to = 1;
  reader.report(value.position(), "bad-share", "`share` is two rising numbers from 0 to 1",
                "write `share: [0, 0.05]` for one row in twenty");
}

/// Whether the fault names something that happens to rows; what it is was checked already.
bool has_effect(const doc::Value& value) {
  const auto is_written = [&](const char* key) {
    const doc::Value* const found = value.find(key);
    if (found == nullptr || found->is_null()) return false;
    // An empty map or list names no field.
    return !(found->is_object() || found->is_array()) || found->size() > 0;
  };
  const auto keys = {"change", "missing", "rename", "label", "sent_label"};
  return std::any_of(keys.begin(), keys.end(), is_written);
}

/// What concerns several keys of one fault.
void check_keys(Fault& into, const doc::Value& value, Reader& reader) {
  if (into.from >= into.to) {
    // The default of `to` is past every time: only one that is written can be too early.
    reader.report(value.find("to")->position(), "bad-value",
                  "`to` is not after `from`: the fault touches no row",
                  "the event time `to` is exclusive: of one day write the next");
  }
  if (!has_effect(value) && !into.drop) {
    reader.report(value.position(), "missing-key", "the fault changes nothing",
                  "write one of `change`, `missing`, `rename`, `label`, `sent_label` or `drop: "
                  "true`");
  }
  if (has_effect(value) && into.drop) {
    reader.report(value.find("drop")->position(), "bad-value",
                  "`drop` leaves the rows out, so that nothing else of the fault shows",
                  "make two faults of it");
  }
  for (const auto& [key, name] :
       {std::pair{"name", into.identity.name}, std::pair{"group", into.group}}) {
    if (name.empty()) continue;
    const doc::Position at = value.find(key)->position();
    if (!is_plain_name(name)) {
      // `bad-name` says it of the fault's own, as of every definition's.
      if (key == std::string_view("name")) continue;
      reader.report(at, "bad-value", fmt::format("`{}` cannot be the name of a fault", name),
                    std::string(kPlainName));
    } else if (name == "all" || name == "none") {
      // `--faults all` and `--faults none` already mean every fault and no fault.
      reader.report(at, "bad-value",
                    fmt::format("`heddle replay --faults {}` has another meaning", name),
                    "give the fault another name");
    }
  }
}

const Schema<Fault>& fault_keys() {
  static const Schema<Fault> table = [] {
    Schema<Fault> t("Fault", "what a replay changes in which recorded rows");
    add_named_head(t, "Fault");
    t.text("contract", &Fault::contract, "name of the contract whose rows it touches").required();
    t.time("from", &Fault::from, "event time of the first rows; default: of any");
    t.time("to", &Fault::to, "event time after the last rows; default: of any");
    t.texts("sources", &Fault::sources, "rows of these sources; default: of every one");
    t.custom("share", Shape::kNumbers,
             "rows whose draw lies in it, `[0, 0.05]`: each row has one draw from 0 to 1, the same "
             "for all faults",
             read_share);
    t.expression("where", &Fault::where,
                 "CEL over the recorded row, label fields included, and `label`, what the target "
                 "says of it: only rows for which it is true");
    t.custom("change", Shape::kMap,
             "by field, CEL over the fields of the request as they stand before this fault: what "
             "is sent, of whatever type; null where it fails",
             [](Fault& into, const doc::Value& value, Reader& reader) {
               read_texts("change", value, reader, [&](const auto& field, const auto& text) {
                 into.change[field] = {text.as_string(), text.position()};
               });
             });
    t.texts("missing", &Fault::missing, "fields that are not sent");
    t.custom("rename", Shape::kMap, "by field, the name that it is sent under",
             [](Fault& into, const doc::Value& value, Reader& reader) {
               read_texts("rename", value, reader, [&](const auto& field, const auto& text) {
                 into.rename[field] = text.as_string();
               });
             });
    t.expression("label", &Fault::label,
                 "CEL over the recorded row and `label` as it stands before this fault: what "
                 "becomes of the row, for example `!label`");
    t.expression("sent_label", &Fault::sent_label,
                 "likewise what is sent as its label, while the world stays as it was");
    t.boolean("drop", &Fault::drop, "the rows are left out");
    t.text("cause", &Fault::cause, "the cause that a diagnosis should name, for reports");
    t.text("group", &Fault::group,
           "the name under which reports count it, together with others; default: its own");
    t.finally(check_keys);
    return t;
  }();
  return table;
}

class FaultChecker : public Checking {
 public:
  explicit FaultChecker(const Checking& all) : Checking(all) {}

  void check(Fault& fault) {
    const Contract* contract =
        refer(fault.identity, "contract", fault.contract, project_.contracts, "contract");
    if (contract == nullptr) return;
    check_sources(fault, *contract);
    check_fields(fault, *contract);
    check_changes(fault, *contract);
    check_labels(fault, *contract);
  }

 private:
  /// Where the value of `field` in the map or list `key` stands.
  static doc::Position place_of(const Identity& identity, std::string_view key,
                                std::string_view field) {
    const doc::Value* value = identity.content.find(key);
    if (value == nullptr) return identity.content.position();
    if (value->is_object()) {
      const doc::Value* const found = value->find(field);
      return found == nullptr ? value->position() : found->position();
    }
    if (!value->is_array()) return value->position();
    const auto& items = value->as_array();
    const auto at = std::find_if(items.begin(), items.end(), [&](const doc::Value& item) {
      return item.is_string() && item.as_string() == field;
    });
    return at == items.end() ? value->position() : at->position();
  }

  /// A source that nobody has touches no row, and nobody would notice.
  void check_sources(const Fault& fault, const Contract& contract) {
    std::set<std::string> known{std::string(kNoSource)};
    for (const auto& [name, service] : project_.services) {
      // Only services whose rows the fault can touch.
      if (contract_of(service) == &contract)
        known.insert(service.sources.begin(), service.sources.end());
    }
    for (std::size_t i = 0; i < fault.sources.size(); ++i) {
      const std::string& source = fault.sources[i];
      if (known.contains(source)) continue;
      const std::vector<std::string> names(known.begin(), known.end());
      const std::string near = doc::nearest(source, names);
      report(fault.identity.file, at(fault.identity, "sources", i), "unknown-name",
             fmt::format("no service of contract `{}` has the source `{}`", fault.contract, source),
             near.empty() ? fmt::format("the sources are `{}`", fmt::join(names, "`, `"))
                          : fmt::format("did you mean `{}`?", near));
    }
  }

  /// A finding when no request carries the field.
  void need_sent(const Fault& fault, const Contract& contract, std::string_view key,
                 const std::string& name) {
    const doc::Position place = place_of(fault.identity, key, name);
    need_field(fault.identity.file, place, contract, name, fmt::format("`{}`", key));
    const auto field = std::find_if(contract.fields.begin(), contract.fields.end(),
                                    [&](const Field& each) { return each.name == name; });
    // Requests carry it, or `need_field` reported it.
    if (field == contract.fields.end() || !field->label_time) return;
    report(fault.identity.file, place, "reads-label",
           fmt::format("`{}` names `{}`, which comes with the label and not with a request", key,
                       name),
           "write `label` for what becomes of a row, `sent_label` for what is said of it");
  }

  void check_fields(const Fault& fault, const Contract& contract) {
    for (const auto& [field, unused] : fault.change) need_sent(fault, contract, "change", field);
    for (const std::string& field : fault.missing) {
      need_sent(fault, contract, "missing", field);
      if (!fault.change.contains(field) && !fault.rename.contains(field)) continue;
      report(fault.identity.file, place_of(fault.identity, "missing", field), "bad-value",
             fmt::format("`{}` is not sent, so that nothing else of it shows", field),
             "take it out of `missing`, or out of `change` and `rename`");
    }
    // No name of the contract is free, be its field renamed as well: a swap of two fields is a
    // `change`.
    std::set<std::string> taken;
    for (const Field& field : contract.fields) taken.insert(field.name);
    for (const auto& [field, name] : fault.rename) {
      need_sent(fault, contract, "rename", field);
      if (!name.empty() && taken.insert(name).second) continue;
      report(fault.identity.file, place_of(fault.identity, "rename", field), "bad-value",
             name.empty() ? fmt::format("`{}` is renamed to nothing", field)
                          : fmt::format("a request cannot have two fields `{}`", name),
             "write a name that the contract does not have; `change` swaps two fields");
    }
  }

  void check_changes(const Fault& fault, const Contract& contract) {
    std::vector<Field> fields = contract.fields;
    // What the contract reads from texts is sent, and changed, as the text that it is.
    for (Field& field : fields) {
      if (field.repairs.reads_text()) field.type = expr::Type::kString;
    }
    const expr::Environment environment = request_environment(fields);
    const Setting setting{environment, row_domains(environment, contract.fields, false),
                          Use::kSent};
    for (const auto& [field, expression] : fault.change) {
      // Said before it is compiled: to the compiler a label is just an unknown name here.
      if (reads_label(contract, expression.text, fault.identity.file, expression.position,
                      fmt::format("`change.{}`", field)))
        continue;
      const expr::Type type = compile(fault.identity.file, fmt::format("`change.{}`", field),
                                      expression, setting, expr::Type::kDyn);
      if (type != expr::Type::kDuration && type != expr::Type::kList) continue;
      report(fault.identity.file, expression.position, "bad-expression",
             fmt::format("`change.{}`: a request cannot hold a {}", field, expr::type_name(type)),
             "write a number, a text, a time, true or false: `string(...)` makes a text of it");
    }
  }

  void check_labels(const Fault& fault, const Contract& contract) {
    const std::optional<expr::Type> type = label_type(contract);
    const expr::Environment environment =
        fault_environment(contract.fields, type.value_or(expr::Type::kNull));
    const Setting setting{environment, row_domains(environment, contract.fields, false),
                          Use::kSent};
    const auto compiled = [&](std::string_view what, const Expression& expression, Use use,
                              expr::Type expected) {
      if (expression.text.empty()) return;
      const auto names = expr::names_in(expression.text);
      const bool is_known =
          type || !names.ok() || std::find(names->begin(), names->end(), "label") == names->end();
      // Else the replay says it: it knows the model.
      if (is_known)
        compile(fault.identity.file, fmt::format("`{}`", what), expression,
                {setting.environment, setting.domains, use}, expected);
    };
    compiled("where", fault.where, Use::kTouched, expr::Type::kBool);
    compiled("label", fault.label, Use::kSent, type.value_or(expr::Type::kDyn));
    compiled("sent_label", fault.sent_label, Use::kSent, type.value_or(expr::Type::kDyn));
  }

  /// Of the targets of the contract's models, where they agree.
  std::optional<expr::Type> label_type(const Contract& contract) const {
    std::optional<expr::Type> found;
    for (const auto& [name, model] : project_.models) {
      if (contract_of(model) != &contract) continue;
      const auto target =
          expr::Program::compile(model.target.text, target_environment(contract.fields));
      // Models that disagree leave `label` without one type; the check of what reads it is then the
      // replay's.
      if (!target.ok() || (found && *found != target->type())) return std::nullopt;
      found = target->type();
    }
    return found;
  }
};

}  // namespace

const Kind& fault_kind() {
  static const BuiltInKind<Fault, FaultChecker> kind("Fault", "faults", fault_keys,
                                                     &Project::faults);
  return kind;
}

}  // namespace heddle::spec
