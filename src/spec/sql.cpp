#include "spec/sql.hpp"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

namespace heddle::spec {
namespace {

struct Token {
  enum class Kind { kEnd, kName, kQuotedName, kText, kNumber, kSymbol };
  Kind kind = Kind::kEnd;
  std::string text{};
};

Error beyond(const std::string& what) {
  return Error{ErrorKind::kInvalid, "sql-not-read", fmt::format("the query has {}", what),
               "write the rule with `type: library` or with `type: custom`, `engine: heddle`"};
}

// ASCII only: another name has to be quoted, or is no token that the parser takes.
bool is_name_char(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

/// The text up to the next `quote`, which is doubled where it belongs to the text; `at` moves past
/// it.
Result<std::string> quoted(std::string_view query, std::size_t& at, char quote) {
  std::string out;
  for (++at; at < query.size(); ++at) {
    if (query[at] != quote) {
      out += query[at];
      continue;
    }
    // A single one ends the text.
    if (at + 1 >= query.size() || query[at + 1] != quote) {
      ++at;
      return out;
    }
    out += query[++at];
  }
  return beyond("a quote that is not closed");
}

/// `{property}` or `${property}`, what the standard replaces before a query runs.
Result<std::string> placeholder(std::string_view query, std::size_t& at) {
  const std::size_t begin = query.find('{', at);
  const std::size_t end = query.find('}', at);
  // `$` and `{` stand together.
  if (begin > at + 1 || end == std::string_view::npos) return beyond("a `$`");
  at = end + 1;
  return std::string(query.substr(begin + 1, end - begin - 1));
}

/// What stands for a placeholder: the object, or the property the rule is written under.
Result<std::string> name_for(const std::string& name, const std::string& object,
                             const std::string& field) {
  if (name == "object" || name == "table" || name == "model" || name == "schema") return object;
  if (name != "property" && name != "column" && name != "field")
    return beyond(fmt::format("the placeholder `{}`", name));
  if (field.empty()) return beyond("a placeholder for a property and stands under none");
  return field;
}

Result<Token> text_token(std::string_view query, std::size_t& at) {
  HEDDLE_ASSIGN_OR_RETURN(auto text, quoted(query, at, '\''));
  if (std::find(text.begin(), text.end(), '\\') != text.end())
    return beyond("a backslash in a text, which some databases take for an escape");
  return Token{Token::Kind::kText, std::move(text)};
}

Result<Token> number_token(std::string_view query, std::size_t& at) {
  const std::size_t begin = at;
  // A sign ends it: `1e-5` is refused where the parser meets its `-`.
  while (at < query.size() && (is_name_char(query[at]) || query[at] == '.')) ++at;
  std::string number(query.substr(begin, at - begin));
  // `0x10`, `1_000` and `5L` are numbers to some databases only.
  if (number.find_first_not_of("0123456789.eE") != std::string::npos)
    return beyond(fmt::format("the number `{}`", number));
  return Token{Token::Kind::kNumber, std::move(number)};
}

Token name_token(std::string_view query, std::size_t& at) {
  const std::size_t begin = at;
  while (at < query.size() && is_name_char(query[at])) ++at;
  return {Token::Kind::kName, std::string(query.substr(begin, at - begin))};
}

Token symbol_token(std::string_view query, std::size_t& at) {
  const std::string_view two = query.substr(at, 2);
  // The longer one first: `<=` is not `<` before `=`.
  const bool is_pair = two == "<=" || two == ">=" || two == "<>" || two == "!=";
  const std::string symbol(query.substr(at, is_pair ? 2 : 1));
  at += symbol.size();
  return {Token::Kind::kSymbol, symbol};
}

/// The token at `at`, which moves past it.
Result<Token> next_token(std::string_view query, std::size_t& at, const std::string& object,
                         const std::string& field) {
  const char c = query[at];
  if (c == '\'') return text_token(query, at);
  if (c == '"' || c == '`') {
    HEDDLE_ASSIGN_OR_RETURN(auto text, quoted(query, at, c));
    return Token{Token::Kind::kQuotedName, std::move(text)};
  }
  if (c == '{' || c == '$') {
    HEDDLE_ASSIGN_OR_RETURN(const auto name, placeholder(query, at));
    HEDDLE_ASSIGN_OR_RETURN(auto stands_for, name_for(name, object, field));
    return Token{Token::Kind::kQuotedName, std::move(stands_for)};
  }
  if (std::isdigit(static_cast<unsigned char>(c)) != 0) return number_token(query, at);
  return is_name_char(c) ? name_token(query, at) : symbol_token(query, at);
}

Result<std::vector<Token>> tokens_of(std::string_view query, const std::string& object,
                                     const std::string& field) {
  std::vector<Token> out;
  for (std::size_t at = 0; at < query.size();) {
    if (std::isspace(static_cast<unsigned char>(query[at])) != 0) {
      ++at;
      continue;
    }
    HEDDLE_ASSIGN_OR_RETURN(auto token, next_token(query, at, object, field));
    out.push_back(std::move(token));
  }
  // The parser stops at it, so that a next token is always there.
  out.push_back({});
  return out;
}

/// Recursive descent; every method gives text of the expression language.
class Parser {
 public:
  Parser(std::vector<Token> tokens, const SqlNames& names)
      : tokens_(std::move(tokens)), names_(names) {}

  Result<SqlMeasure> query() {
    SqlMeasure out;
    if (!word("SELECT")) return unexpected();
    HEDDLE_TRY(aggregate(out));
    // A name for the result changes nothing.
    if (word("AS")) {
      if (!is_name()) return unexpected();
      ++at_;
    }
    if (!word("FROM")) return unexpected();
    HEDDLE_TRY(object());
    if (word("WHERE")) {
      HEDDLE_ASSIGN_OR_RETURN(const auto where, disjunction());
      // `COUNT(column)` has a condition by itself.
      out.condition =
          out.condition.empty() ? where : fmt::format("({}) && ({})", out.condition, where);
    }
    // One may end the query; what follows it is another query.
    symbol(";");
    if (now().kind != Token::Kind::kEnd) return unexpected();
    return out;
  }

 private:
  [[nodiscard]] const Token& now() const { return tokens_[at_]; }

  [[nodiscard]] Error unexpected() const {
    return beyond(now().kind == Token::Kind::kEnd ? "an early end"
                                                  : fmt::format("`{}`", now().text));
  }

  bool word(std::string_view wanted) {
    // A quoted word is a name, never a keyword.
    const bool is_same =
        now().kind == Token::Kind::kName && now().text.size() == wanted.size() &&
        std::equal(wanted.begin(), wanted.end(), now().text.begin(),
                   [](char a, char b) { return a == std::toupper(static_cast<unsigned char>(b)); });
    if (is_same) ++at_;
    return is_same;
  }

  bool symbol(std::string_view wanted) {
    if (now().kind != Token::Kind::kSymbol || now().text != wanted) return false;
    ++at_;
    return true;
  }

  [[nodiscard]] bool is_name() const {
    return now().kind == Token::Kind::kName || now().kind == Token::Kind::kQuotedName;
  }

  Result<void> aggregate(SqlMeasure& out) {
    constexpr std::pair<std::string_view, std::string_view> kAggregates[] = {{"COUNT", "rowCount"},
                                                                             {"AVG", "average"},
                                                                             {"SUM", "sum"},
                                                                             {"MIN", "minimum"},
                                                                             {"MAX", "maximum"}};
    for (const auto& [name, metric] : kAggregates) {
      if (!word(name)) continue;
      out.metric = metric;
      if (!symbol("(")) return unexpected();
      if (symbol("*")) {
        if (out.metric != "rowCount") return beyond(fmt::format("`{}(*)`", name));
      } else if (is_name()) {
        HEDDLE_ASSIGN_OR_RETURN(const auto field, field_name());
        if (out.metric == "rowCount") {
          // `COUNT(column)` counts the rows that have a value.
          out.condition = fmt::format("{} != null", field);
        } else {
          out.field = field;
        }
      } else {
        // `COUNT(1)` and `COUNT(DISTINCT a)`, for example.
        return unexpected();
      }
      return symbol(")") ? Result<void>() : unexpected();
    }
    return unexpected();
  }

  /// A field's name as the expression language has it: quoted where it is no plain word.
  Result<std::string> field_name() {
    const std::string& name = tokens_[at_++].text;
    // By its exact letters: databases differ in how they fold names.
    if (std::find(names_.fields.begin(), names_.fields.end(), name) == names_.fields.end()) {
      return beyond(fmt::format("`{}`, which is no field that rows have", name));
    }
    const bool is_plain = !name.empty() && std::all_of(name.begin(), name.end(), is_name_char) &&
                          std::isdigit(static_cast<unsigned char>(name[0])) == 0;
    const bool is_word = name == "true" || name == "false" || name == "null" || name == "in";
    return is_plain && !is_word ? name : fmt::format("`{}`", name);
  }

  Result<void> object() {
    if (!is_name()) return unexpected();
    // A schema before the table's name says where the table is.
    std::string name = tokens_[at_++].text;
    while (symbol(".")) {
      if (!is_name()) return unexpected();
      name = tokens_[at_++].text;
    }
    if (std::find(names_.objects.begin(), names_.objects.end(), name) != names_.objects.end())
      return {};
    return beyond(fmt::format("another object, `{}`", name));
  }

  Result<std::string> disjunction() {
    HEDDLE_ASSIGN_OR_RETURN(auto left, conjunction());
    while (word("OR")) {
      HEDDLE_ASSIGN_OR_RETURN(const auto right, conjunction());
      left = fmt::format("({} || {})", left, right);
    }
    return left;
  }

  Result<std::string> conjunction() {
    HEDDLE_ASSIGN_OR_RETURN(auto left, negation());
    while (word("AND")) {
      HEDDLE_ASSIGN_OR_RETURN(const auto right, negation());
      left = fmt::format("({} && {})", left, right);
    }
    return left;
  }

  Result<std::string> negation() {
    // A chain of NOT or of brackets is bounded, since the parser calls itself for each.
    if (++depth_ > 32) return beyond("too many levels");
    const auto inner = word("NOT") ? negated() : predicate();
    --depth_;
    return inner;
  }

  Result<std::string> negated() {
    HEDDLE_ASSIGN_OR_RETURN(const auto inner, negation());
    return fmt::format("!({})", inner);
  }

  Result<std::string> predicate() {
    // A bracket opens a condition here and no value: `(a + b) > 1` is not read.
    if (symbol("(")) {
      HEDDLE_ASSIGN_OR_RETURN(const auto inner, disjunction());
      if (!symbol(")")) return unexpected();
      return fmt::format("({})", inner);
    }
    HEDDLE_ASSIGN_OR_RETURN(const auto left, operand());
    if (word("IS")) {
      const bool is_not = word("NOT");
      if (!word("NULL")) return unexpected();
      return fmt::format("{} {} null", left, is_not ? "!=" : "==");
    }
    const bool is_not = word("NOT");
    if (word("IN")) return membership(left, is_not);
    if (word("BETWEEN")) return between(left, is_not);
    // `LIKE` comes after it, for example, whose patterns databases read differently.
    if (is_not) return unexpected();
    return comparison(left);
  }

  Result<std::string> comparison(const std::string& left) {
    constexpr std::pair<std::string_view, std::string_view> kComparisons[] = {
        {"=", "=="},  {"<>", "!="}, {"!=", "!="}, {"<=", "<="},
        {">=", ">="}, {"<", "<"},   {">", ">"}};
    for (const auto& [sql, ours] : kComparisons) {
      if (!symbol(sql)) continue;
      HEDDLE_ASSIGN_OR_RETURN(const auto right, operand());
      return fmt::format("{} {} {}", left, ours, right);
    }
    return unexpected();
  }

  Result<std::string> membership(const std::string& left, bool is_not) {
    if (!symbol("(")) return unexpected();
    std::string items;
    do {
      HEDDLE_ASSIGN_OR_RETURN(const auto item, constant());
      items += (items.empty() ? "" : ", ") + item;
    } while (symbol(","));
    if (!symbol(")")) return unexpected();
    // A missing `left` gives null with and without NOT, as in SQL, and the row does not count.
    return fmt::format("{}({} in [{}])", is_not ? "!" : "", left, items);
  }

  Result<std::string> between(const std::string& left, bool is_not) {
    HEDDLE_ASSIGN_OR_RETURN(const auto low, operand());
    if (!word("AND")) return unexpected();
    HEDDLE_ASSIGN_OR_RETURN(const auto high, operand());
    return fmt::format("{}({} >= {} && {} <= {})", is_not ? "!" : "", left, low, left, high);
  }

  Result<std::string> operand() {
    if (now().kind == Token::Kind::kQuotedName) return field_name();
    if (now().kind != Token::Kind::kName) return constant();
    if (word("TRUE")) return std::string("true");
    if (word("FALSE")) return std::string("false");
    constexpr std::string_view kWords[] = {"NULL",     "CASE", "CAST",      "EXISTS",
                                           "INTERVAL", "DATE", "TIMESTAMP", "SELECT"};
    // Named in the message, where they would be taken for columns that there are not.
    for (const auto each : kWords) {
      if (word(each)) return beyond(fmt::format("`{}` in its condition", each));
    }
    const bool is_call =
        tokens_[at_ + 1].kind == Token::Kind::kSymbol && tokens_[at_ + 1].text == "(";
    return is_call ? beyond(fmt::format("the function `{}`", now().text)) : field_name();
  }

  Result<std::string> constant() {
    if (now().kind == Token::Kind::kText) {
      std::string out = "'";
      for (const char c : tokens_[at_++].text) {
        // A quote is doubled in SQL and escaped in an expression.
        if (c == '\'' || c == '\\') out += '\\';
        out += c;
      }
      return out + "'";
    }
    const std::string sign = symbol("-") ? "-" : "";
    if (now().kind != Token::Kind::kNumber) return unexpected();
    return sign + tokens_[at_++].text;
  }

  std::vector<Token> tokens_;
  const SqlNames& names_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

Result<SqlMeasure> read_sql(std::string_view query, const SqlNames& names) {
  HEDDLE_ASSIGN_OR_RETURN(
      auto tokens,
      // `{object}` stands for the first of its names.
      tokens_of(query, names.objects.empty() ? "" : names.objects.front(), names.field));
  return Parser(std::move(tokens), names).query();
}

}  // namespace heddle::spec
