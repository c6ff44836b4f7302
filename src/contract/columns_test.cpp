// A table checked by columns is what its rows are, checked one by one: over generated contracts and
// tables, on seeded random and extreme values.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "contract/contract.hpp"
#include "doc/json.hpp"
#include "table/cell.hpp"
#include "table/lookup.hpp"

namespace heddle::contract {
namespace {

using expr::Datum;
using expr::Type;
using table::Column;
using table::Table;

constexpr std::string_view kWords[] = {"",           "a",
                                       "SEA",        "ORD",
                                       "sea",        "h\xC3\xA9llo",
                                       "a@b.com",    "2001-04-10T05:06:07Z",
                                       "2001-04-10", "12:30",
                                       "25:00",      "10.0.0.1",
                                       "7",          "a longer text than fits into itself"};
/// What stands in a file where no value of the type does.
constexpr std::string_view kMalformedWords[] = {"x", "NA", "1,5", "03/04/2001", "-"};
constexpr Type kTypes[] = {Type::kBool, Type::kInt, Type::kDouble, Type::kString, Type::kTimestamp};

std::string show(const Datum& value) {
  switch (value.kind) {
    case Datum::Kind::kNull: return "null";
    case Datum::Kind::kError: return "malformed";
    case Datum::Kind::kBool: return value.b ? "true" : "false";
    case Datum::Kind::kDouble: return fmt::format("{:a}", value.d);
    case Datum::Kind::kString: return fmt::format("'{}'", value.str());
    case Datum::Kind::kTimestamp: return fmt::format("at {}", value.i);
    default: return fmt::format("{}", value.i);
  }
}

class Draw {
 public:
  explicit Draw(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t operator()() { return engine_(); }
  bool once_in(std::uint64_t n) { return engine_() % n == 0; }
  template <class T, std::size_t kSize>
  T of(const T (&from)[kSize]) {
    return from[engine_() % kSize];
  }

  /// A column of a type with missing and malformed cells; texts of few or many distinct values.
  Column column(const std::string& name, Type type, std::int64_t rows) {
    Column out;
    out.name = name;
    out.type = type;
    const std::uint64_t missing = once_in(3) ? 0 : 6, malformed = once_in(3) ? 20 : 0;
    const bool is_tame = once_in(2), many = once_in(3);
    table::StringIndex texts, bad;
    for (const auto word : kWords) texts.insert(word);
    for (std::int64_t i = 0; i < rows; ++i) {
      switch (type) {
        case Type::kDouble: out.doubles.push_back(real(is_tame)); break;
        case Type::kString:
          out.codes.push_back(many && once_in(2)
                                  ? texts.insert(fmt::format("{}", engine_() >> 48))
                                  : static_cast<std::int32_t>(engine_() % std::size(kWords)));
          break;
        case Type::kBool: out.ints.push_back(static_cast<std::int64_t>(engine_() & 1)); break;
        case Type::kTimestamp: out.ints.push_back(time(is_tame)); break;
        default: out.ints.push_back(whole(is_tame));
      }
      const bool is_bad = malformed != 0 && once_in(malformed);
      const bool is_missing = is_bad || (missing != 0 && once_in(missing));
      out.valid.push_back(is_missing ? 0 : 1);
      out.malformed.push_back(
          is_bad ? static_cast<std::uint32_t>(bad.insert(of(kMalformedWords))) + 1 : 0);
    }
    if (missing == 0 && malformed == 0) out.valid.clear();
    if (malformed == 0) out.malformed.clear();
    if (bad.size() > 0)
      out.malformed_texts = std::make_shared<const table::Dictionary>(bad.values());
    if (type == Type::kString)
      out.dictionary = std::make_shared<const table::Dictionary>(texts.values());
    return out;
  }

 private:
  std::int64_t whole(bool is_tame) {
    constexpr std::int64_t kOdd[] = {0, 1, -1, 5, 1000, INT64_MAX, INT64_MIN};
    return is_tame ? static_cast<std::int64_t>(engine_() % 12) : of(kOdd);
  }
  double real(bool is_tame) {
    constexpr double kInf = std::numeric_limits<double>::infinity();
    const double odd[] = {0.0, -0.0, 0.5, 2, 7, kInf, -kInf, std::nan(""), 1e300, 9.3e18};
    return is_tame ? static_cast<double>(engine_() % 24) / 2 : of(odd);
  }
  Micros time(bool is_tame) {
    constexpr Micros kOdd[] = {0, 1, -1, INT64_MIN, INT64_MAX, 986879167000000, 978307200000000};
    return is_tame ? static_cast<Micros>(engine_() % 20) * kDay / 2 : of(kOdd);
  }

  std::mt19937_64 engine_;
};

/// Repairs that go with a type, few of them or many.
spec::Repairs repairs_of(Draw& draw, Type type) {
  spec::Repairs out;
  const bool is_number = type == Type::kInt || type == Type::kDouble;
  if (draw.once_in(2)) out.nulls = {"NA", "7", "", "2001-04-10"};
  if (type == Type::kString) {
    out.trim = draw.once_in(2);
    constexpr spec::LetterCase kCases[] = {spec::LetterCase::kAny, spec::LetterCase::kLower,
                                           spec::LetterCase::kUpper};
    out.letter_case = draw.of(kCases);
  }
  if (type == Type::kTimestamp && draw.once_in(2)) out.dates = {"%d/%m/%Y", "ISO 8601"};
  if (is_number) {
    if (draw.once_in(3)) out.decimal = std::string(1, ',');
    if (draw.once_in(2)) out.scale = draw.once_in(2) ? 2 : -3;
    if (draw.once_in(2)) out.offset = 1;
    if (draw.once_in(2)) out.clip_minimum = 1;
    if (draw.once_in(2)) out.clip_maximum = 8;
  }
  if (draw.once_in(2)) {
    out.impute = is_number && draw.once_in(2) ? spec::Impute::kMedian : spec::Impute::kMode;
    if (draw.once_in(2)) {
      out.impute = spec::Impute::kConstant;
      out.imputed = is_number               ? doc::Value(5)
                    : type == Type::kBool   ? doc::Value(true)
                    : type == Type::kString ? doc::Value("SEA")
                                            : doc::Value("2001-04-10T00:00:00Z");
    }
  }
  return out;
}

/// A field with rules that go with its type.
spec::Field field_of(Draw& draw, const std::string& name) {
  using spec::Form;
  spec::Field out;
  out.name = name;
  out.type = draw.of(kTypes);
  out.required = draw.once_in(2);
  const bool is_number = out.type == Type::kInt || out.type == Type::kDouble;
  if (is_number && draw.once_in(2)) out.minimum = static_cast<double>(draw() % 3);
  if (is_number && draw.once_in(2)) out.maximum = 9.5 - static_cast<double>(draw() % 3);
  if (draw.once_in(3)) out.repairs = repairs_of(draw, out.type);
  out.minimum_excluded = draw.once_in(3), out.maximum_excluded = draw.once_in(3);
  if (is_number && draw.once_in(4)) out.multiple_of = draw.once_in(2) ? 2 : 0.5;
  if (is_number && draw.once_in(4)) out.enum_values = {1, 2, 5, 7};
  if (out.type == Type::kTimestamp) {
    if (draw.once_in(2)) out.earliest = kDay;
    if (draw.once_in(2)) out.latest = 5 * kDay;
    if (draw.once_in(3)) out.form = Form::kDate;
  }
  if (out.type == Type::kString) {
    constexpr Form kForms[] = {Form::kTime, Form::kEmail, Form::kIpv4, Form::kHostname};
    if (draw.once_in(3)) out.pattern = "^[A-Z]{3}$";
    if (draw.once_in(3)) out.min_length = 1, out.max_length = 8;
    if (draw.once_in(4)) out.form = draw.of(kForms);
    if (out.form == Form::kTime && draw.once_in(2)) out.earliest = kHour;
    if (out.form == Form::kTime && !out.repairs.imputed.is_null()) out.repairs.imputed = "12:30";
    if (out.form != Form::kTime && draw.once_in(3)) out.enum_values = {"SEA", "ORD", "a", "7"};
  }
  return out;
}

/// A column that may be of another type than its field.
Type column_type(Draw& draw, const spec::Field& field) {
  return draw.once_in(4) ? draw.of(kTypes) : field.type;
}

std::string expression_of(Draw& draw, const spec::Field& a, const spec::Field& b) {
  const bool is_number = a.type == Type::kInt || a.type == Type::kDouble;
  const bool both = is_number && (b.type == Type::kInt || b.type == Type::kDouble);
  if (both && draw.once_in(2)) return fmt::format("{} * 2 <= {} || {} > 3", a.name, b.name, b.name);
  if (a.type == b.type && draw.once_in(2)) return fmt::format("{} == {}", a.name, b.name);
  if (is_number) return fmt::format("is_null({0}) || {0} / 3 < 4", a.name);
  if (a.type == Type::kString) return fmt::format("{}.matches('^[a-zA-Z]+$')", a.name);
  return fmt::format("is_null({}) || is_null({})", a.name, b.name);
}

spec::Contract contract_of(Draw& draw) {
  spec::Contract out;
  out.identity.name = "generated";
  const std::size_t fields = 2 + draw() % 5;
  for (std::size_t i = 0; i < fields; ++i)
    out.fields.push_back(field_of(draw, fmt::format("f{}", i)));
  const auto any = [&]() -> const spec::Field& { return out.fields[draw() % fields]; };
  for (std::size_t i = 0; i < draw() % 4; ++i) {
    spec::RowRule rule;
    rule.id = fmt::format("rule{}", i);
    rule.effect = draw.once_in(2) ? RuleEffect::kRefuse : RuleEffect::kWarn;
    if (draw.once_in(2)) {
      rule.expression.text = expression_of(draw, any(), any());
    } else {
      rule.kind = spec::RowRule::Kind::kDependency;
      rule.determinant = {any().name};
      if (draw.once_in(3)) rule.determinant.push_back(any().name);
      rule.dependent = any().name;
    }
    out.row_rules.push_back(rule);
  }
  for (std::size_t i = 0; i < (draw.once_in(2) ? draw() % 3 : 0); ++i) {
    const spec::Field& field = any();
    const bool is_number = field.type == Type::kInt || field.type == Type::kDouble;
    const std::string text = is_number                     ? "{0} + {0}"
                             : field.type == Type::kString ? "lowerAscii({0}) + '!'"
                             : field.type == Type::kBool   ? "!{0}"
                                                           : "{0} + duration('36h')";
    out.transforms.push_back(
        {fmt::format("t{}", i), field.name, {fmt::format(fmt::runtime(text), field.name), {}}, ""});
  }
  if (draw.once_in(2)) {
    out.fields.push_back(field_of(draw, "label"));
    out.fields.back().label_time = true;
    spec::Repairs& repairs = out.fields.back().repairs;  // those that a label may have
    repairs.scale.reset(), repairs.offset.reset();
    repairs.clip_minimum.reset(), repairs.clip_maximum.reset();
    repairs.impute = spec::Impute::kNone, repairs.imputed = doc::Value();
  }
  return out;
}

Result<std::vector<std::string>> no_file(const std::string&, const std::string&) {
  return std::vector<std::string>{};
}

Table table_of(Draw& draw, const spec::Contract& contract, std::int64_t rows) {
  std::vector<Column> columns;
  for (const auto& field : contract.fields) {
    if (field.label_time && draw.once_in(3)) continue;
    columns.push_back(draw.column(field.name, column_type(draw, field), rows));
  }
  columns.push_back(draw.column("unread", Type::kInt, rows));
  return Table::make(std::move(columns)).value();
}

/// What a request would bring for a field: to one with repairs the text where there is no value.
Datum raw_cell(const spec::Field& field, const Table& rows, std::int64_t row) {
  const Column* column = rows.find(field.name);
  return field.repairs.any() ? column->received(column->view(), row)
                             : column->cell(column->view(), row);
}

/// What `check` says of each row, label fields by a contract of their own.
struct ByRow {
  std::map<std::string, std::int64_t> repaired;
  std::vector<std::uint8_t> refused;
  std::map<std::string, std::int64_t> counts;
  std::map<std::string, std::vector<std::string>> accepted;  ///< of each field

  ByRow(const Contract& contract, const spec::Contract& definition, const Table& rows) {
    std::optional<Contract> labels;
    spec::Contract of_labels;
    for (const auto& field : definition.fields) {
      if (!field.label_time || rows.find(field.name) == nullptr) continue;
      of_labels.fields.push_back(field);
      of_labels.fields.back().label_time = false;
    }
    if (!of_labels.fields.empty()) labels.emplace(Contract::compile(of_labels, no_file).value());
    RowCheck check, label_check;
    for (std::int64_t row = 0; row < rows.rows(); ++row) {
      contract.check(raw_of(contract, rows, row), check);
      count(contract, check);
      bool is_refused = check.refused;
      if (labels) {
        labels->check(raw_of(*labels, rows, row), label_check);
        count(*labels, label_check);
        is_refused = is_refused || label_check.refused;
      }
      refused.push_back(is_refused ? 1 : 0);
      note_repairs(contract, check, definition, is_refused);
      if (labels) note_repairs(*labels, label_check, of_labels, is_refused);
      if (is_refused) continue;
      keep(contract, check);
      if (labels) keep(*labels, label_check);
    }
  }

 private:
  static std::vector<Datum> raw_of(const Contract& contract, const Table& rows, std::int64_t row) {
    std::vector<Datum> out;
    for (const auto& field : contract.request_fields()) out.push_back(raw_cell(field, rows, row));
    return out;
  }
  /// A row whose label is refused meets no transform.
  void note_repairs(const Contract& contract, const RowCheck& check,
                    const spec::Contract& definition, bool is_refused) {
    for (const auto number : check.repaired) {
      const std::string& id = contract.repairs()[number].id;
      const bool is_transform =
          std::any_of(definition.transforms.begin(), definition.transforms.end(),
                      [&](const auto& transform) { return transform.id == id; });
      if (!is_transform || !is_refused) ++repaired[id];
    }
  }
  void count(const Contract& contract, const RowCheck& check) {
    for (const auto rule : check.broken) ++counts[contract.rules()[rule].id];
  }
  void keep(const Contract& contract, const RowCheck& check) {
    for (std::size_t i = 0; i < check.row.size(); ++i)
      accepted[contract.request_fields()[i].name].push_back(show(check.row[i]));
  }
};

std::map<std::string, std::int64_t> counts_of(const Contract& contract, const TableCheck& check) {
  std::map<std::string, std::int64_t> out;
  for (std::size_t i = 0; i < check.counts.size(); ++i) {
    if (check.counts[i] != 0) out[contract.rules()[i].id] = check.counts[i];
  }
  return out;
}

std::map<std::string, std::int64_t> repaired_of(const Contract& contract, const TableCheck& check) {
  std::map<std::string, std::int64_t> out;
  for (std::size_t i = 0; i < check.repaired.size(); ++i) {
    if (check.repaired[i] != 0) out[contract.repairs()[i].id] = check.repaired[i];
  }
  return out;
}

std::map<std::string, std::vector<std::string>> values_of(const Table& rows) {
  std::map<std::string, std::vector<std::string>> out;
  for (const Column& column : rows.columns()) {
    for (std::int64_t row = 0; row < rows.rows(); ++row)
      out[column.name].push_back(show(column.cell(column.view(), row)));
  }
  return out;
}

/// Tuples with one value and with several, over rows that keep the fields' own rules.
std::pair<std::int64_t, std::int64_t> learned_by_row(const Contract& fields_only,
                                                     const spec::RowRule& rule, const Table& rows) {
  std::map<std::string, std::set<std::string>> values;
  RowCheck check;
  for (std::int64_t row = 0; row < rows.rows(); ++row) {
    std::vector<Datum> raw;
    for (const auto& field : fields_only.request_fields())
      raw.push_back(raw_cell(field, rows, row));
    fields_only.check(raw, check);
    if (!check.broken.empty()) continue;
    const auto text = [&](const std::string& name) {
      std::size_t i = 0;
      while (fields_only.request_fields()[i].name != name) ++i;
      const Datum& value = check.row[i];
      return value.kind == Datum::Kind::kDouble && value.d == 0 ? std::string("zero") : show(value);
    };
    std::string key;
    for (const auto& name : rule.determinant) key += text(name) + "\n";
    if (key.find("null\n") == std::string::npos && text(rule.dependent) != "null")
      values[key].insert(text(rule.dependent));
  }
  std::pair<std::int64_t, std::int64_t> out;
  for (const auto& [key, of_key] : values) ++(of_key.size() == 1 ? out.first : out.second);
  return out;
}

void check_learning(const Contract& contract, const spec::Contract& definition, const Table& rows) {
  spec::Contract fields_only;
  for (const auto& field : definition.fields) {
    if (!field.label_time) fields_only.fields.push_back(field);
  }
  const Contract compiled = Contract::compile(fields_only, no_file).value();
  std::size_t next = 0;
  for (const auto& rule : definition.row_rules) {
    if (rule.kind != spec::RowRule::Kind::kDependency) continue;
    const auto& learned = contract.learned()[next++];
    const auto [tuples, conflicting] = learned_by_row(compiled, rule, rows);
    EXPECT_EQ(learned.tuples, tuples) << rule.id;
    EXPECT_EQ(learned.conflicting, conflicting) << rule.id;
  }
}

TEST(CheckColumns, AreTheRowsOneByOne) {
  const char* given = std::getenv("HEDDLE_TEST_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 20010411;
  fmt::print("seed {} (HEDDLE_TEST_SEED sets it)\n", seed);
  Draw draw(seed);
  std::int64_t accepted = 0, refused = 0, broken = 0, transformed = 0, repaired = 0;
  for (int n = 0; n < 150; ++n) {
    spec::Contract definition = contract_of(draw);
    auto compiled = Contract::compile(definition, no_file);
    ASSERT_TRUE(compiled.ok()) << compiled.error().message;
    Contract& contract = *compiled;
    // Mostly less than a block; sometimes several, for all threads.
    const std::int64_t rows = n % 50 == 49 ? 100'000 : static_cast<std::int64_t>(draw() % 2000);
    const Table history = table_of(draw, definition, 500);
    // Where there is nothing to learn from, nothing stands for what is missing.
    (void)contract.learn_imputed(history);
    for (auto& field : definition.fields) {
      for (const auto& learned : contract.fields()) {
        if (learned.name == field.name) field.repairs = learned.repairs;
      }
    }
    ASSERT_TRUE(contract.learn(history).ok());
    check_learning(contract, definition, history);
    const Table table = table_of(draw, definition, rows);
    const ByRow expected(contract, definition, table);
    for (const unsigned threads : {1U, 2U, 3U}) {
      const auto check = contract.check_table(table, threads);
      ASSERT_TRUE(check.ok()) << check.error().message;
      const auto where = fmt::format("contract {}, {} rows, {} threads: {}", n, rows, threads,
                                     doc::to_json(contract.to_value()).substr(0, 3000));
      ASSERT_EQ(check->refused, expected.refused) << where;
      ASSERT_EQ(counts_of(contract, *check), expected.counts) << where;
      ASSERT_EQ(repaired_of(contract, *check), expected.repaired) << where;
      if (check->accepted.rows() > 0) {
        ASSERT_EQ(values_of(check->accepted), expected.accepted) << where;
      }
      if (HasFailure()) FAIL() << where;
      accepted += check->accepted.rows();
      refused += rows - check->accepted.rows();
    }
    for (const auto& [rule, count] : expected.counts) broken += count;
    for (const auto& [repair, count] : expected.repaired) repaired += count;
    const auto read = contract.with_texts_read(table);
    ASSERT_TRUE(read.ok());
    const auto again = contract.check_table(*read);
    ASSERT_TRUE(again.ok());
    ASSERT_EQ(again->refused, expected.refused) << n;
    if (again->accepted.rows() > 0) {
      ASSERT_EQ(values_of(again->accepted), expected.accepted) << n;
    }
    transformed += definition.transforms.empty() ? 0 : 1;
  }
  fmt::print(
      "{} rows accepted, {} refused, {} rules broken, {} values repaired, {} contracts with "
      "transforms\n",
      accepted, refused, broken, repaired, transformed);
  EXPECT_GT(repaired, 10'000);
  EXPECT_GT(accepted, 10'000);
  EXPECT_GT(refused, 10'000);
}

TEST(CheckColumns, ARequestFieldThatIsNotThereIsNamed) {
  spec::Contract definition;
  definition.fields.push_back({.name = "a", .type = Type::kInt});
  definition.fields.push_back({.name = "b", .type = Type::kInt});
  const Contract contract = Contract::compile(definition, no_file).value();
  Draw draw(1);
  std::vector<Column> columns;
  columns.push_back(draw.column("a", Type::kInt, 3));
  const auto check = contract.check_table(Table::make(std::move(columns)).value(), 2);
  ASSERT_FALSE(check.ok());
  EXPECT_EQ(check.error().kind, ErrorKind::kUnprocessable);
  EXPECT_NE(check.error().message.find("`b`"), std::string::npos);
}

TEST(CheckColumns, NoRows) {
  spec::Contract definition;
  definition.fields.push_back({.name = "a", .type = Type::kString});
  const Contract contract = Contract::compile(definition, no_file).value();
  Draw draw(1);
  std::vector<Column> columns;
  columns.push_back(draw.column("a", Type::kString, 0));
  const auto check = contract.check_table(Table::make(std::move(columns)).value(), 2);
  ASSERT_TRUE(check.ok());
  EXPECT_EQ(check->accepted.rows(), 0);
  EXPECT_EQ(check->accepted.columns().size(), 1u);
}

}  // namespace
}  // namespace heddle::contract
