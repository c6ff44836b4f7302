#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "spec/load.hpp"
#include "spec/sql.hpp"

namespace heddle::spec {
namespace {

/// A contract whose object has these properties and these rules, both in YAML's flow style.
Contract contract_with(const std::string& properties, const std::string& quality,
                       std::vector<std::string>& findings) {
  const std::string yaml = fmt::format(
      "apiVersion: v3.1.0\nkind: DataContract\nid: c\nversion: 1.0.0\nschema:\n- name: rows\n  "
      "properties: [{}]\n  quality: [{}]\n",
      properties, quality);
  std::vector<doc::Diagnostic> diagnostics;
  Contract contract = parse_contract(yaml, "c.yaml", diagnostics);
  for (const auto& each : diagnostics) findings.push_back(doc::render_concise(each));
  return contract;
}

std::string ids_of(const std::vector<std::string>& findings) {
  std::string out;
  for (const auto& line : findings)
    out += line.substr(line.find(": ") + 2, line.find("]: ") - line.find(": ") - 1) + " ";
  return out;
}

TEST(Odcs, ADependencyIsWholeAndOfAtMostEightFields) {
  const auto ids_with = [](const std::string& determinant) {
    std::vector<std::string> findings;
    const Contract contract = contract_with(
        "{name: a, logicalType: integer},{name: b, logicalType: integer}",
        fmt::format("{{type: custom, engine: heddle, id: d, implementation: {{dependency: "
                    "{{determinant: {}, dependent: b}}}}}}",
                    determinant),
        findings);
    return findings.empty() ? std::string() : findings.front();
  };
  EXPECT_EQ(ids_with("[a]"), "");
  EXPECT_EQ(ids_with("[a, a, a, a, a, a, a, a]"), "");
  EXPECT_NE(ids_with("[a, a, a, a, a, a, a, a, a]").find("has 9 determinants, at most 8 can be"),
            std::string::npos);
  // Once these were left out, and the rule was another one.
  EXPECT_NE(ids_with("[a, 7]").find("has a determinant that is no field's name"),
            std::string::npos);
  EXPECT_NE(ids_with("[]").find("is incomplete"), std::string::npos);
}

TEST(Odcs, EveryLogicalTypeWithItsOptions) {
  std::vector<std::string> findings;
  const Contract contract = contract_with(
      "{name: a, logicalType: string, logicalTypeOptions: {minLength: 1, maxLength: 3, pattern: "
      "'\\u0041', format: ipv4}},"
      "{name: b, logicalType: date, logicalTypeOptions: {exclusiveMinimum: '2020-01-01', maximum: "
      "'2021-01-01', format: yyyy-MM-dd}},"
      "{name: c, logicalType: timestamp, logicalTypeOptions: {minimum: '2020-01-01 "
      "00:00:00+10:00', defaultTimezone: UTC}},"
      "{name: d, logicalType: time, logicalTypeOptions: {minimum: '00:00:00', maximum: '23:59:59', "
      "format: 'HH:mm:ss', timezone: false}},"
      "{name: e, logicalType: number, logicalTypeOptions: {minimum: 0, exclusiveMinimum: true, "
      "multipleOf: 0.5, format: f32}},"
      "{name: f, logicalType: integer, logicalTypeOptions: {minimum: -5, exclusiveMinimum: -9, "
      "exclusiveMaximum: 3, format: i8}},"
      "{name: g, logicalType: boolean},{name: h, logicalType: array, required: true, "
      "logicalTypeOptions: {minItems: 0}},"
      "{name: i, logicalType: object, properties: [{name: x}]},{name: j, physicalType: "
      "'VARCHAR(18)'},{name: k, physicalType: geography},"
      "{name: l, logicalType: integer, enum: [{value: 1}, {value: '2'}]},{name: m, logicalType: "
      "integer, logicalTypeOptions: {format: u16}}",
      "", findings);
  EXPECT_EQ(ids_of(findings),
            "warning[field-not-read] warning[type-from-physical] warning[field-not-read] ");
  ASSERT_EQ(contract.fields.size(), 10U);
  EXPECT_EQ(contract.unread, (std::vector<std::string>{"h", "i", "k"}));
  const auto& f = contract.fields;
  EXPECT_EQ(f[0].pattern, "\\x{0041}");
  EXPECT_EQ(f[0].form, Form::kIpv4);
  EXPECT_EQ(f[0].max_length, 3);
  EXPECT_EQ(f[1].form, Form::kDate);
  EXPECT_TRUE(f[1].minimum_excluded);
  EXPECT_EQ(f[1].latest, parse_time("2021-01-01"));
  EXPECT_EQ(f[2].earliest, parse_time("2019-12-31T14:00:00Z"));
  EXPECT_EQ(f[3].latest, kDay - kSecond);
  EXPECT_TRUE(f[4].minimum_excluded);
  EXPECT_EQ(f[4].minimum, 0);
  EXPECT_EQ(f[4].multiple_of, 0.5);
  EXPECT_FALSE(f[5].minimum_excluded) << "the stricter of the two bounds includes its value";
  EXPECT_EQ(f[5].minimum, -5);
  EXPECT_TRUE(f[5].maximum_excluded);
  EXPECT_EQ(f[5].maximum, 3);
  EXPECT_EQ(f[7].type, expr::Type::kString);
  EXPECT_EQ(f[8].enum_values, (std::vector<doc::Value>{1, 2}));
  EXPECT_EQ(f[9].maximum, 65'535);
}

/// What a set rule asks: `metric field condition operation operands`.
std::string asked_by(const SetRule& rule) {
  return fmt::format("{} {} [{}] {} {}{}", rule.id, rule.metric, rule.condition, rule.operation,
                     fmt::join(rule.operands, ","), rule.percent ? "%" : "");
}

TEST(Odcs, RulesOf30SayByTheirNameWhatMustHold) {
  const std::string bounds =
      "customProperties: [{property: min, value: 0}, {property: max, value: ";
  const std::vector<std::pair<std::string, std::string>> kept = {
      {"{rule: nullCheck}", "x-nullValues nullValues [] mustBe 0"},
      {"{rule: nullCheck, mustBeLessThan: 5, unit: percent}",
       "x-nullValues nullValues [] mustBeLessThan 5%"},
      {"{rule: validValues, validValues: [1, 2]}", "x-invalidValues invalidValues [] mustBe 0"},
      {"{rule: between, " + bounds + "500}]}",
       "x-between rowCount [`x y` < 0 || `x y` > 500] mustBe 0"},
      {"{rule: between, unit: percent, mustBeLessThan: 1, " + bounds + "0.5}]}",
       "x-between rowCount [`x y` < 0 || `x y` > 0.5] mustBeLessThan 1%"},
      {"{rule: minCheck, customProperties: [{property: min, value: '7'}, {property: FIELD}]}",
       "x-minCheck rowCount [`x y` < 7] mustBe 0"},
      {"{rule: maxCheck, customProperties: [{property: max, value: 1e30}]}",
       "x-maxCheck rowCount [`x y` > 1e+30] mustBe 0"}};
  for (const auto& [rule, expected] : kept) {
    std::vector<std::string> findings;
    const Contract contract =
        contract_with("{name: x y, logicalType: integer, quality: [" + rule + "]}", "", findings);
    ASSERT_EQ(contract.set_rules.size(), 1U) << rule << fmt::format(" {}", findings);
    EXPECT_EQ(asked_by(contract.set_rules[0]), "x y" + expected.substr(1)) << rule;
    EXPECT_EQ(ids_of(findings), "") << rule;
  }
  std::vector<std::string> findings;
  const Contract dates = contract_with(
      "{name: d, logicalType: date, quality: [{rule: minCheck, customProperties: [{property: min, "
      "value: '2020-01-31'}]}]}",
      "{rule: countCheck, mustBeGreaterThan: 3}, {rule: countCheck}, {rule: countCheck}", findings);
  ASSERT_EQ(dates.set_rules.size(), 2U);
  EXPECT_EQ(asked_by(dates.set_rules[0]),
            "d-minCheck rowCount [d < timestamp('2020-01-31T00:00:00Z')] mustBe 0");
  EXPECT_EQ(asked_by(dates.set_rules[1]), "rows-rowCount rowCount [] mustBeGreaterThan 3");
  EXPECT_EQ(ids_of(findings), "warning[not-enforced] ") << "once, and nothing else";
  for (const char* wrong :
       {"{rule: between, customProperties: [{property: min, value: 0}]}", "{rule: minCheck}",
        "{rule: minCheck, customProperties: [{property: min, value: x}]}",
        "{rule: minCheck, customProperties: [{property: min, value: .inf}]}",
        "{rule: maxCheck, customProperties: [{property: max}]}",
        "{rule: minCheck, arguments: {min: 3}, customProperties: [{property: min, value: 0}]}",
        "{rule: duplicateCount}", "{metric: nullValues}"}) {
    findings.clear();
    const Contract contract = contract_with(
        fmt::format("{{name: x, logicalType: integer, quality: [{}]}}", wrong), "", findings);
    EXPECT_TRUE(ids_of(findings).starts_with("error[")) << wrong;
    EXPECT_TRUE(contract.set_rules.empty()) << wrong;
  }
  findings.clear();
  (void)contract_with(
      "{name: s, logicalType: string, quality: [{rule: between, " + bounds + "5}]}]}",
      "{rule: minCheck, customProperties: [{property: min, value: 0}]}", findings);
  EXPECT_EQ(ids_of(findings), "error[bad-quality] error[bad-quality] ");
}

TEST(Odcs, WhatVersion2AndImportersWriteIsReadOrReported) {
  std::vector<std::string> findings;
  const Contract contract = contract_with(
      "{name: a, logicalType: integer, isNullable: false, isUnique: true},{name: b, logicalType: "
      "number, isNullable: true, logicalTypeOptions: {precision: 10, scale: 2}},{name: c, "
      "logicalType: string, required: true, isNullable: false}",
      "", findings);
  EXPECT_EQ(ids_of(findings),
            "warning[old-key] warning[old-key] warning[not-enforced] warning[not-enforced] ");
  ASSERT_EQ(contract.fields.size(), 3U);
  EXPECT_TRUE(contract.fields[0].required);
  EXPECT_FALSE(contract.fields[1].required);
  EXPECT_TRUE(contract.fields[2].required);
  ASSERT_EQ(contract.set_rules.size(), 1U);
  EXPECT_EQ(contract.set_rules[0].metric, "duplicateValues");
  for (const char* wrong : {"{name: a, logicalType: integer, required: false, isNullable: false}",
                            "{name: a, logicalType: integer, isUnique: false, unique: true}",
                            "{name: a, logicalType: string, logicalTypeOptions: {precision: 3}}"}) {
    findings.clear();
    (void)contract_with(wrong, "", findings);
    EXPECT_NE(ids_of(findings).find("error[bad-field]"), std::string::npos) << wrong;
  }
}

TEST(Odcs, AContractOfVersion2IsOneFinding) {
  for (const char* text :
       {"apiVersion: v2.2.2\nkind: DataContract\nuuid: u\nquantumName: q\ndataset: [{table: t}]\n",
        "kind: DataContract\nuuid: u\ndatasetName: d\ntype: tables\n"}) {
    std::vector<doc::Diagnostic> diagnostics;
    (void)parse_contract(text, "c.yaml", diagnostics);
    ASSERT_EQ(diagnostics.size(), 1U) << text;
    EXPECT_EQ(diagnostics[0].id, "unknown-value");
    EXPECT_GT(diagnostics[0].position.line, 0);
    EXPECT_NE(diagnostics[0].message.find("version 2"), std::string::npos);
  }
}

TEST(Odcs, MergedMapsAreReadLikeWrittenOnes) {
  std::vector<doc::Diagnostic> diagnostics;
  const Contract contract = parse_contract(
      "apiVersion: v3.1.0\nkind: DataContract\nid: c\nversion: 1.0.0\nschema:\n- name: rows\n"
      "  properties:\n  - &key {name: a, logicalType: integer, required: true}\n"
      "  - <<: *key\n    name: b\n  - {<<: *key, name: c, requird: true}\n",
      "c.yaml", diagnostics);
  ASSERT_EQ(contract.fields.size(), 3U);
  EXPECT_EQ(contract.fields[1].name, "b");
  EXPECT_EQ(contract.fields[1].type, expr::Type::kInt);
  EXPECT_TRUE(contract.fields[1].required);
  ASSERT_EQ(diagnostics.size(), 1U);
  EXPECT_EQ(diagnostics[0].id, "unknown-key") << "a merged map hides no mistake";
}

TEST(Odcs, WhatCannotBeKeptIsRefusedWithItsPlace) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"{name: a, logicalType: string, logicalTypeOptions: {pattern: '(?=x)'}}",
       "error[bad-pattern] "},
      {"{name: a, logicalType: string, quality: [{metric: invalidValues, mustBe: 0, arguments: "
       "{pattern: '(a)\\1'}}]}",
       "error[bad-pattern] "},
      {"{name: a, logicalType: integer, logicalTypeOptions: {pattern: x}}", "error[bad-field] "},
      {"{name: a, logicalType: boolean, logicalTypeOptions: {minimum: 1}}", "error[bad-field] "},
      {"{name: a, logicalType: date, logicalTypeOptions: {format: dd/MM/yyyy}}",
       "error[unknown-format] "},
      {"{name: a, logicalType: date, logicalTypeOptions: {minimum: 2020}}", "error[bad-field] "},
      {"{name: a, logicalType: number, logicalTypeOptions: {minimum: 'x'}}", "error[bad-field] "},
      {"{name: a, logicalType: number, logicalTypeOptions: {exclusiveMaximum: true}}",
       "error[bad-field] "},
      {"{name: a, logicalType: number, logicalTypeOptions: {multipleOf: 0}}", "error[bad-field] "},
      {"{name: a, logicalType: string, logicalTypeOptions: {minLength: 3, maxLength: 2}}",
       "error[out-of-range] "},
      {"{name: a, logicalType: integer, enum: [{value: x}]}", "error[wrong-type] "},
      {"{name: a, logicalType: blob}", "error[unknown-value] "},
      {"{name: a, logicalType: integer, quality: [{metric: invalidValues, mustBe: 0}]}",
       "error[bad-quality] "},
      {"{name: a, logicalType: integer, quality: [{metric: freshness, mustBe: 0}]}",
       "error[bad-quality] "},
      {"{name: a, logicalType: integer, quality: [{metric: nullValues}]}", "error[bad-quality] "},
      {"{name: a, logicalType: integer, quality: [{metric: nullValues, mustBe: 0, unit: EUR}]}",
       "error[bad-quality] "},
      {"{name: a, logicalType: integer, quality: [{metric: nullValues, mustBeBetween: [1]}]}",
       "error[wrong-type] "},
      {"{name: a, logicalType: integer, quality: [{metric: nullValues, mustBe: 0, arguments: "
       "{filter: x}}]}",
       "error[bad-quality] "},
      {"{name: a, logicalType: integer, quality: [{description: no type}]}", "error[missing-key] "},
      {"{name: a, logicalType: integer, quality: [{type: sql, severity: error, query: 'SELECT f(a) "
       "FROM rows', mustBe: 0}]}",
       "error[sql-not-enforced] "},
      {"{name: a, logicalType: integer, quality: [{metric: rowCount, mustBe: 1, unit: percent}]}",
       "error[bad-quality] "},
      {"{name: a, logicalType: integer, lgicalType: x}", "error[unknown-key] "},
      {"{name: a, logicalType: string, enum: []}", "error[bad-field] "},
      {"{name: a, logicalType: string, enum: [{value: null}]}", "error[bad-field] "},
      {"{name: a, logicalType: string, enum: [{value: x}], customProperties: [{property: "
       "enumFile, vendor: heddle, value: codes}]}",
       "error[bad-field] "},
      {"{name: a, logicalType: integer, logicalTypeOptions: {maximum: 9007199254740993}}",
       "error[bad-field] "},
      {"{name: a, logicalType: time, logicalTypeOptions: {format: yyyy-MM-dd}}",
       "error[unknown-format] "},
      {"{name: a, logicalType: timestamp, logicalTypeOptions: {format: 'HH:mm:ss'}}",
       "error[unknown-format] "},
      {"{name: a, logicalType: integer, quality: [{metric: nullValues, mustBe: 0, arguments: "
       "{pattern: x}}]}",
       "error[bad-quality] "},
      {"{name: a, logicalType: integer, quality: [{metric: missingValues, mustBe: 0, arguments: "
       "{validValues: [1]}}]}",
       "error[bad-quality] "},
      {"{name: a, logicalType: integer, quality: [{rule: duplicateCount, mustBe: 0, validValues: "
       "[1]}]}",
       "error[bad-quality] "},
      {"{name: a, logicalType: integer, quality: [{metric: duplicateValues, mustBe: 0, arguments: "
       "{properties: [a]}}]}",
       "error[bad-quality] "},
      {"{name: a, logicalType: integer, quality: [{metric: invalidValues, mustBe: 0, arguments: "
       "{validValues: [[1]]}}]}",
       "error[bad-quality] "},
      {"{name: a, logicalType: integer, quality: [{metric: rowCount, mustNotBeBetween: [9, 1]}]}",
       "error[bad-quality] "},
      {"{name: a, logicalType: integer, quality: [{type: sql, severity: error, mustBe: 0}]}",
       "error[sql-not-enforced] "},
  };
  for (const auto& [properties, wanted] : cases) {
    std::vector<std::string> findings;
    (void)contract_with(properties, "", findings);
    EXPECT_EQ(ids_of(findings), wanted) << properties;
    for (const auto& line : findings) EXPECT_TRUE(line.starts_with("c.yaml:7:")) << line;
  }
}

TEST(Odcs, LayoutsOfTimesByWhatTheyHave) {
  // 3.0 has no `timestamp`: its dates have a time of day when their layout or physical type has.
  const std::pair<const char*, Form> cases[] = {
      {"logicalTypeOptions: {format: date}", Form::kDate},
      {"logicalTypeOptions: {format: yyyy-MM-dd}, physicalType: timestamp", Form::kDate},
      {"physicalType: date", Form::kDate},
      {"logicalTypeOptions: {format: date-time}", Form::kAny},
      {"logicalTypeOptions: {format: ISO-8601}", Form::kAny},
      {"logicalTypeOptions: {format: 'yyyy-MM-dd HH:mm:ss'}", Form::kAny},
      {"physicalType: timestamp_tz", Form::kAny}};
  for (const auto& [options, form] : cases) {
    std::vector<std::string> findings;
    const Contract contract =
        contract_with(fmt::format("{{name: a, logicalType: date, {}}}", options), "", findings);
    ASSERT_EQ(contract.fields.size(), 1U);
    EXPECT_EQ(contract.fields[0].form, form) << options;
    EXPECT_EQ(ids_of(findings).find("error"), std::string::npos) << options;
  }
  std::vector<std::string> findings;
  (void)contract_with("{name: a, logicalType: date, physicalType: timestamp}", "", findings);
  EXPECT_EQ(ids_of(findings), "warning[not-enforced] warning[type-from-physical] ");
}

TEST(Odcs, AnEnumOfTextsMeansWhatCellsOfRowsMean) {
  Field field;
  field.name = "a";
  const auto read = [&](expr::Type type, const char* text) {
    field.type = type;
    const auto value = typed_value(field, doc::Value(text));
    return value.ok() ? *value : doc::Value(value.error().id);
  };
  EXPECT_EQ(read(expr::Type::kInt, "1.0"), doc::Value(1));
  EXPECT_EQ(read(expr::Type::kInt, " +2 "), doc::Value(2));
  EXPECT_EQ(read(expr::Type::kInt, "1.5"), doc::Value("wrong-type"));
  EXPECT_EQ(read(expr::Type::kDouble, ".5"), doc::Value(0.5));
  EXPECT_EQ(read(expr::Type::kDouble, "inf"), doc::Value("wrong-type"));
  EXPECT_EQ(read(expr::Type::kBool, "TRUE"), doc::Value(true));
  EXPECT_EQ(read(expr::Type::kBool, "0"), doc::Value(false));
  EXPECT_EQ(read(expr::Type::kBool, ""), doc::Value("wrong-type"));
  EXPECT_EQ(read(expr::Type::kString, "1.0"), doc::Value("1.0"));
}

TEST(Odcs, KeysOfAnotherTypeOfRuleAreSaid) {
  std::vector<std::string> findings;
  const Contract contract = contract_with(
      "{name: a, logicalType: integer, quality: [{id: a-type, metric: nullValues, mustBe: 0, "
      "query: SELECT 1, engine: soda}]},{name: b, logicalType: object}",
      "{metric: duplicateValues, mustBe: 0}", findings);
  std::vector<std::string> said;
  for (const auto& line : findings) said.push_back(line.substr(line.find("]: ") + 3, 64));
  std::sort(said.begin(), said.end());
  EXPECT_EQ(said, (std::vector<std::string>{
                      "`b` is of type object: a row is flat, so it is not read and its ",
                      "`engine` of a rule of `type: library` is not enforced",
                      "`query` of a rule of `type: library` is not enforced",
                      "rule `rows-duplicateValues` is not enforced: it counts rows that"}));
  ASSERT_EQ(contract.set_rules.size(), 1U);
  EXPECT_EQ(contract.set_rules[0].id, "a-a-type") << "`a-type` is a rule of the field itself";
}

TEST(Odcs, WhatIsNotEnforcedIsSaidOnceAFile) {
  std::vector<std::string> findings;
  const Contract contract = contract_with(
      "{name: a, physicalName: a_1, logicalType: string, physicalType: text, classification: x, "
      "partitioned: false, logicalTypeOptions: {format: password}},"
      "{name: b, physicalName: b_1, logicalType: string, physicalType: text, partitioned: true, "
      "description: null, businessName: B},"
      "{name: c, physicalName: c, logicalType: timestamp, logicalTypeOptions: {timezone: true, "
      "defaultTimezone: Australia/Sydney}},"
      "{name: d, logicalType: string, customProperties: [{property: role, value: label}]},{name: "
      "e, semanticType: measure, logicalType: number}",
      "{type: text, description: x},{type: text, description: y},{type: custom, engine: soda, "
      "implementation: x},"
      "{type: custom, engine: Heddle, implementation: \"a != ''\"},{type: sql, query: 'SELECT "
      "median(a) FROM rows', mustBe: 0, schedule: 0 20 * * *}",
      findings);
  std::vector<std::string> said;
  for (const auto& line : findings) said.push_back(line.substr(line.find("]: ") + 3));
  std::sort(said.begin(), said.end());
  EXPECT_EQ(said, (std::vector<std::string>{
                      "`classification` is not enforced", "`defaultTimezone` is not enforced",
                      "`e` is a measure: it is computed from many rows, no field of one",
                      "`format: password` is not enforced", "`partitioned` is not enforced",
                      "`physicalName` is not enforced, here and in one place more",
                      "`physicalType` is not enforced, here and in one place more",
                      "`role` is not enforced", "`schedule` is not enforced",
                      "`timezone` is not enforced",
                      "rule `rows-sql` of `type: sql` is not enforced: the query has `median`",
                      "rules of `engine: soda` are not enforced",
                      "rules of `type: text` are not enforced, here and in one place more"}));
  ASSERT_EQ(contract.row_rules.size(), 1U) << "`engine: Heddle` is evaluated";
  EXPECT_EQ(contract.row_rules[0].id, "rows-rule");
}

TEST(Odcs, LibraryRulesOfEveryVersion) {
  std::vector<std::string> findings;
  const Contract contract = contract_with(
      "{name: a, logicalType: integer, unique: true, primaryKey: true, required: true, quality: ["
      "{metric: nullValues, mustBe: 0},{rule: duplicateCount, mustBeLessThan: 5, unit: percent, "
      "severity: info},"
      "{rule: validValues, validValues: [1, 2], mustBe: 0},{type: library, metric: missingValues, "
      "mustBeGreaterThan: 0, mustBeLessThan: 9,"
      "arguments: {missingValues: [-1, null]}}]},{name: b, logicalType: string, primaryKey: true, "
      "primaryKeyPosition: 2, quality: ["
      "{id: nulls, metric: nullValues, mustBe: 0},{metric: nullValues, mustBeBetween: [0, 3], "
      "severity: critical}]}",
      "{id: nulls, metric: rowCount, mustBe: 3},{type: sql, query: 'select count(*) from rows "
      "where a <= 0 or b is null;', mustBe: 0, severity: error}",
      findings);
  EXPECT_EQ(ids_of(findings), "warning[unknown-severity] ");
  std::vector<std::string> rules;
  for (const auto& rule : contract.set_rules) {
    rules.push_back(fmt::format("{} {} {}{} {} {}{}{}{}", rule.id, rule.metric, rule.field,
                                fmt::join(rule.properties, "+"), rule.operation,
                                fmt::join(rule.operands, ","), rule.percent ? "%" : "",
                                rule.effect == RuleEffect::kWarn ? " warns" : "", rule.condition));
  }
  EXPECT_EQ(rules,
            (std::vector<std::string>{
                "a-nullValues nullValues a mustBe 0",
                "a-duplicateValues duplicateValues a mustBeLessThan 5% warns",
                "a-invalidValues invalidValues a mustBe 0",
                "a-missingValues missingValues a mustBeGreaterThan 0",
                "a-missingValues-mustBeLessThan missingValues a mustBeLessThan 9",
                "nulls nullValues b mustBe 0", "b-nullValues nullValues b mustBeBetween 0,3",
                "rows-nulls rowCount  mustBe 3", "rows-sql rowCount  mustBe 0(a <= 0 || b == null)",
                "a-unique duplicateValues a mustBe 0", "b-primary-key nullValues b mustBe 0",
                "primary-key duplicateValues a+b mustBe 0"}));
  EXPECT_EQ(contract.set_rules[2].arguments, (std::vector<doc::Value>{1, 2}));
}

TEST(Odcs, InvalidValuesOfAPropertyWithAnEnumAreThoseThatItDoesNotList) {
  std::vector<std::string> findings;
  const Contract contract = contract_with(
      "{name: a, logicalType: integer, enum: [{value: 1}, {value: 2}], quality: [{metric: "
      "invalidValues, mustBeLessThan: 1, unit: percent}]}",
      "", findings);
  EXPECT_EQ(ids_of(findings), "");
  EXPECT_EQ(contract.set_rules.at(0).arguments, (std::vector<doc::Value>{1, 2}));
}

TEST(Odcs, AKeyWithAPartThatIsNotReadIsReported) {
  std::vector<std::string> findings;
  const Contract contract = contract_with(
      "{name: a, logicalType: integer, primaryKey: true},{name: b, logicalType: array, primaryKey: "
      "true}",
      "", findings);
  EXPECT_EQ(ids_of(findings), "warning[not-enforced] warning[field-not-read] ");
  ASSERT_EQ(contract.set_rules.size(), 1U) << "`a` alone may repeat";
  EXPECT_EQ(contract.set_rules[0].id, "a-primary-key");
}

TEST(Odcs, SqlThatMeansTheSameEverywhere) {
  const SqlNames names{{"orders", "orders_v2"}, {"id", "total", "state", "size (cm)"}, "total"};
  const std::vector<std::pair<std::string, std::string>> read = {
      {"SELECT COUNT(*) FROM orders", "rowCount  "},
      {"select count( * ) as n from main.orders where state = 'it''s' ;",
       "rowCount  state == 'it\\'s'"},
      {"SELECT COUNT({property}) FROM ${table}", "rowCount  total != null"},
      {"SELECT AVG(total) FROM `orders_v2` WHERE NOT (id < 5 AND \"state\" IS NOT NULL) OR id NOT "
       "IN (1, -2)",
       "average total (!(((id < 5 && state != null))) || !(id in [1, -2]))"},
      {"SELECT MAX(id) FROM {model} WHERE total BETWEEN 1.5 AND id",
       "maximum id (total >= 1.5 && total <= id)"},
      {"SELECT COUNT(*) FROM a.orders WHERE \"size (cm)\" > 1e3", "rowCount  `size (cm)` > 1e3"},
  };
  for (const auto& [query, wanted] : read) {
    const auto measure = read_sql(query, names);
    ASSERT_TRUE(measure.ok()) << query << ": " << measure.error().message;
    EXPECT_EQ(fmt::format("{} {} {}", measure->metric, measure->field, measure->condition), wanted)
        << query;
  }
  for (const char* query : {"",
                            "DELETE FROM orders",
                            "SELECT COUNT(*) FROM orders, items",
                            "SELECT COUNT(*) FROM items",
                            "SELECT COUNT(DISTINCT id) FROM orders",
                            "SELECT COUNT(*) FROM orders WHERE lower(state) = 'a'",
                            "SELECT COUNT(*) FROM orders WHERE nothing = 1",
                            "SELECT COUNT(*) FROM orders WHERE id = NULL",
                            "SELECT COUNT(*) FROM orders GROUP BY id",
                            "SELECT COUNT(*) FROM orders WHERE id = 1 + 1",
                            "SELECT COUNT(*) FROM orders WHERE state LIKE 'a%'",
                            "SELECT COUNT(*), id FROM orders",
                            "SELECT COUNT(*) FROM orders WHERE state = 'a",
                            "SELECT COUNT(*) FROM orders WHERE id IN (SELECT 1)",
                            "SELECT COUNT(*) FROM orders WHERE {other} = 1",
                            "SELECT COUNT(*) AS",
                            "SELECT COUNT(*) FROM orders.",
                            "SELECT COUNT(*) FROM orders WHERE id = 0x10",
                            "SELECT COUNT(*) FROM orders WHERE id = 1_0",
                            "SELECT COUNT(*) FROM orders WHERE state = 'a\\\\b'",
                            "SELECT COUNT(*) FROM orders SAMPLE (10 ROWS)",
                            "SELECT COUNT(*) FROM orders -- all"}) {
    const auto measure = read_sql(query, names);
    EXPECT_FALSE(measure.ok()) << query;
  }
}

/// A property of the object `rows`, with a property of Heddle's own.
std::string property(const std::string& name, const std::string& type, const std::string& repairs) {
  return fmt::format(
      "{{name: {}, logicalType: {}, customProperties: [{{property: repairs, vendor: heddle, value: "
      "{}}}]}}",
      name, type, repairs);
}

TEST(Odcs, RepairsOfAField) {
  std::vector<std::string> findings;
  const Contract contract = contract_with(
      property("a", "string", "{trim: true, case: upper, nulls: [NA, -999, '']}") + "," +
          property("b", "number",
                   "{decimal: ',', scale: 0.5, offset: 1, clip: {minimum: 0, maximum: 9}, impute: "
                   "{learn: median}}") +
          "," + property("c", "date", "{dates: '%d.%m.%Y', impute: {value: '2001-04-10'}}"),
      "", findings);
  EXPECT_EQ(ids_of(findings), "");
  ASSERT_EQ(contract.fields.size(), 3U);
  const Repairs& a = contract.fields[0].repairs;
  EXPECT_TRUE(a.trim);
  EXPECT_EQ(a.letter_case, LetterCase::kUpper);
  EXPECT_EQ(a.nulls, (std::vector<std::string>{"NA", "-999", ""}));
  const Repairs& b = contract.fields[1].repairs;
  EXPECT_EQ(b.decimal, ",");
  EXPECT_EQ(b.scale, 0.5);
  EXPECT_EQ(b.offset, 1);
  EXPECT_EQ(b.clip_minimum, 0);
  EXPECT_EQ(b.clip_maximum, 9);
  EXPECT_EQ(b.impute, Impute::kMedian);
  EXPECT_TRUE(b.imputed.is_null());
  const Repairs& c = contract.fields[2].repairs;
  EXPECT_EQ(c.dates, std::vector<std::string>{"%d.%m.%Y"});
  EXPECT_EQ(c.impute, Impute::kConstant);
  EXPECT_EQ(c.imputed, doc::Value("2001-04-10"));
}

TEST(Odcs, RepairsOfAllFieldsAndOfTheSet) {
  std::vector<doc::Diagnostic> diagnostics;
  const Contract contract = parse_contract(
      "apiVersion: v3.1.0\nkind: DataContract\nid: c\nversion: 1.0.0\nschema:\n- name: rows\n  "
      "properties: [{name: a, logicalType: string}, {name: b, logicalType: number}, {name: t, "
      "logicalType: timestamp}, " +
          property("d", "number", "{nulls: ['-']}") +
          "]\n  customProperties:\n  - {property: repairs, vendor: heddle, value: {trim: true, "
          "nulls: [NA], decimal: ',', dates: ['%d.%m.%Y']}}\n  - {property: deduplicate, vendor: "
          "heddle, value: {key: [a, b], by: t, keep: last}}\n",
      "c.yaml", diagnostics);
  ASSERT_TRUE(diagnostics.empty()) << doc::render_concise(diagnostics[0]);
  EXPECT_TRUE(contract.fields[0].repairs.trim);
  EXPECT_FALSE(contract.fields[1].repairs.trim);
  EXPECT_EQ(contract.fields[1].repairs.nulls, std::vector<std::string>{"NA"});
  EXPECT_EQ(contract.fields[1].repairs.decimal, ",");
  EXPECT_EQ(contract.fields[2].repairs.dates, std::vector<std::string>{"%d.%m.%Y"});
  EXPECT_EQ(contract.fields[3].repairs.nulls, std::vector<std::string>{"-"});  // its own
  EXPECT_EQ(contract.fields[3].repairs.decimal, ",");
  ASSERT_TRUE(contract.deduplicate);
  EXPECT_EQ(contract.deduplicate->key, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(contract.deduplicate->by, "t");
  EXPECT_TRUE(contract.deduplicate->keep_last);
}

TEST(Odcs, RepairsThatMeanNothingAreFound) {
  const auto found = [](const std::string& repairs) {
    std::vector<std::string> findings;
    (void)contract_with(property("a", "number", repairs), "", findings);
    return findings.size() == 1 ? findings[0].substr(findings[0].find(": ") + 2)
                                : fmt::format("{} findings", findings.size());
  };
  EXPECT_EQ(found("{nulls: []}"), "error[repair-value]: `nulls` lists nothing");
  EXPECT_EQ(found("{nulls: NA}"), "error[repair-value]: `nulls` lists nothing");
  EXPECT_EQ(found("{nulls: [true]}"),
            "error[repair-value]: `nulls` holds neither a text nor a number");
  EXPECT_EQ(found("{decimal: ';'}"), "error[repair-value]: `decimal` can only be a comma");
  EXPECT_EQ(found("{clip: {}}"), "error[repair-value]: `clip` has no bound");
  EXPECT_EQ(found("{impute: median}"),
            "error[wrong-type]: `impute` must be an object, found a string");
  EXPECT_EQ(found("{impute: {learn: mean}}"),
            "error[repair-value]: `impute` learns a `median` or a `mode`");
  EXPECT_EQ(found("{impute: {learn: mode, value: 3}}"),
            "error[repair-value]: `impute` has either `value` or `learn`, and nothing else");
  EXPECT_EQ(found("{trimm: true}").substr(0, 24), "error[unknown-key]: unkn");
  EXPECT_EQ(found("true"), "error[wrong-type]: `repairs` must be an object, found a boolean");
}

}  // namespace
}  // namespace heddle::spec
