#include "expr/syntax.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "expr/names.hpp"

namespace heddle::expr {
namespace {

constexpr std::size_t kMaxSource = 16 << 10;
constexpr int kMaxDepth = 64;
constexpr int kMaxHeight =
    256;  ///< of the tree; chains like `a + b + c` lean left and are not nested

enum class TokenKind { kEnd, kName, kQuotedName, kInt, kDouble, kString, kSymbol };

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::size_t offset = 0;
  std::string text{};
  std::int64_t i = 0;
  double d = 0;
};

Error syntax_error(std::size_t offset, std::string message, std::string hint = {}) {
  return {ErrorKind::kInvalid, "expression-syntax", std::move(message), std::move(hint),
          fmt::format("offset {}", offset)};
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

void append_utf8(std::string& out, std::uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  Result<std::vector<Token>> run() {
    std::vector<Token> tokens;
    for (;;) {
      skip_space();
      Token token;
      token.offset = at_;
      if (at_ == source_.size()) {
        tokens.push_back(token);
        return tokens;
      }
      HEDDLE_TRY(read(token));
      tokens.push_back(std::move(token));
    }
  }

 private:
  /// The character `ahead` of where we are; 0 past the end.
  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0';
  }
  static bool is_raw(char c) { return c == 'r' || c == 'R'; }  ///< before a quote: no escapes
  static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
  static bool is_quote(char c) { return c == '"' || c == '\''; }

  Result<void> read(Token& token) {
    const char c = peek();
    if (is_quote(c) || (is_raw(c) && is_quote(peek(1)))) return read_string(token);
    if (c == '`') return read_quoted_name(token);
    if (is_letter(c)) {
      token.kind = TokenKind::kName;
      while (is_letter(peek()) || is_digit(peek())) token.text += source_[at_++];
      return {};
    }
    // `.5` is a number, `a.b` a member.
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return read_number(token);
    return read_symbol(token);
  }

  Result<void> read_symbol(Token& token) {
    static constexpr std::string_view kTwo[] = {"&&", "||", "==", "!=", "<=", ">="};
    token.kind = TokenKind::kSymbol;
    for (const auto two : kTwo) {
      // Before the single characters: `<=` is not `<` and `=`.
      if (source_.substr(at_, 2) == two) token.text = two;
    }
    if (token.text.empty()) {
      if (std::string_view("+-*/%!<>?:()[],.").find(source_[at_]) == std::string_view::npos)
        return foreign_character();
      token.text = source_[at_];
    }
    at_ += token.text.size();
    return {};
  }

  Error foreign_character() const {
    std::size_t size = 1;  // in UTF-8
    while ((static_cast<unsigned char>(peek(size)) & 0xC0) == 0x80) ++size;
    return syntax_error(at_, fmt::format("`{}` has no meaning here", source_.substr(at_, size)),
                        "a name that is more than letters, digits and `_` stands between "
                        "backticks; docs/expressions.md has the grammar");
  }

  void skip_space() {
    for (; at_ < source_.size(); ++at_) {
      const char c = source_[at_];
      if (c == '/' && source_.substr(at_, 2) == "//") {
        while (at_ < source_.size() && source_[at_] != '\n') ++at_;
        if (at_ == source_.size()) return;
      } else if (!is_space(c)) {
        return;
      }
    }
  }

  /// A name between backticks is what stands there: it may hold spaces, dashes, slashes, letters of
  /// any alphabet.
  Result<void> read_quoted_name(Token& token) {
    token.kind = TokenKind::kQuotedName;
    const std::size_t end = source_.find_first_of("`\n", at_ + 1);
    if (end == std::string_view::npos || source_[end] != '`')
      return syntax_error(at_, "a quoted name has no end", "close it with a backtick");
    token.text = source_.substr(at_ + 1, end - at_ - 1);
    if (token.text.empty())
      return syntax_error(at_, "a quoted name is empty",
                          "write the field's name between the backticks");
    at_ = end + 1;
    return {};
  }

  void skip_digits() {
    while (is_digit(peek())) ++at_;
  }

  Result<void> read_hexadecimal(Token& token) {
    const std::size_t begin = at_;
    at_ += 2;
    // A sign, which `from_chars` would take, is no digit.
    const std::size_t digits = peek() == '-' ? source_.size() : at_;
    const auto [end, code] =
        std::from_chars(source_.data() + digits, source_.data() + source_.size(), token.i, 16);
    if (code != std::errc())
      return syntax_error(begin, "a hexadecimal integer is out of range or empty");
    at_ = static_cast<std::size_t>(end - source_.data());
    token.kind = TokenKind::kInt;
    return {};
  }

  /// Moves past the digits of a decimal number; whether it has a fraction or an exponent.
  bool skip_decimal() {
    bool is_real = false;
    skip_digits();
    // A dot without a digit behind it is a member access, as in `1.size()`.
    if (peek() == '.' && is_digit(peek(1))) {
      is_real = true;
      ++at_;
      skip_digits();
    }
    if (peek() == 'e' || peek() == 'E') {
      const std::size_t sign = peek(1) == '+' || peek(1) == '-' ? 1 : 0;
      // `1e` is a number and a name, which `read_number` refuses by its place.
      if (is_digit(peek(1 + sign))) {
        is_real = true;
        at_ += 1 + sign;
        skip_digits();
      }
    }
    return is_real;
  }

  Result<void> read_decimal(Token& token) {
    const std::size_t begin = at_;
    const bool is_real = skip_decimal();
    const std::string_view text = source_.substr(begin, at_ - begin);
    const char* const end = text.data() + text.size();
    if (is_real) {
      token.kind = TokenKind::kDouble;
      if (std::from_chars(text.data(), end, token.d).ec == std::errc()) return {};
      // Too small for a double is 0; too large is a mistake.
      if (text.find('-') == std::string_view::npos)
        return syntax_error(begin, "a number is out of range");
      token.d = 0;
      return {};
    }
    token.kind = TokenKind::kInt;
    if (std::from_chars(text.data(), end, token.i).ec == std::errc()) return {};
    // -9223372036854775808 is written with this literal: the parser negates it.
    if (text != "9223372036854775808")
      return syntax_error(begin, "an integer is out of range", "integers have 64 bits");
    token.i = INT64_MIN;
    return {};
  }

  Result<void> read_number(Token& token) {
    const bool is_hexadecimal = peek() == '0' && (peek(1) == 'x' || peek(1) == 'X');
    HEDDLE_TRY(is_hexadecimal ? read_hexadecimal(token) : read_decimal(token));
    // CEL has them: an own message tells more than an unknown name.
    if (peek() == 'u' || peek() == 'U') {
      return syntax_error(at_, "unsigned integers are not part of the profile",
                          "write the number without `u`");
    }
    // `1x` would be two tokens, and the message that of a parser that saw a name.
    if (is_letter(peek())) return syntax_error(at_, "a number runs into a name");
    return {};
  }

  Result<void> read_string(Token& token) {
    token.kind = TokenKind::kString;
    const std::size_t begin = at_;
    const bool raw = is_raw(source_[at_]);
    if (raw) ++at_;
    const char quote = source_[at_];
    // Three quotes in a row always open a long string, as in CEL: an empty string is two.
    const bool is_triple = source_.substr(at_, 3) == std::string(3, quote);
    const std::string mark(is_triple ? 3 : 1, quote);
    at_ += mark.size();
    for (;;) {
      if (at_ >= source_.size())
        return syntax_error(begin, "a string has no end", fmt::format("close it with `{}`", quote));
      if (source_.substr(at_, mark.size()) == mark) {
        at_ += mark.size();
        return {};
      }
      if (source_[at_] == '\n' && !is_triple)
        return syntax_error(begin, "a string runs past the end of its line");
      // In a raw string a backslash is a backslash: patterns are written so.
      if (source_[at_] == '\\' && !raw) {
        HEDDLE_TRY(read_escape(token.text));
      } else {
        token.text += source_[at_++];
      }
    }
  }

  /// An escape by the number of a character: so many digits of a base.
  struct Numbered {
    std::size_t digits = 0;
    int base = 16;
  };
  static Numbered numbered(char c) {
    switch (c) {
      case 'x':
      case 'X': return {2};
      case 'u': return {4};
      case 'U': return {8};
      default: return c >= '0' && c <= '3' ? Numbered{3, 8} : Numbered{};
    }
  }

  Result<void> read_escape(std::string& out) {
    const std::size_t begin = at_++;
    if (at_ >= source_.size()) return syntax_error(begin, "a string has no end");
    const char c = source_[at_++];
    static constexpr std::string_view kFrom = "abfnrtv\\'\"`?";
    static constexpr std::string_view kTo = "\a\b\f\n\r\t\v\\'\"`?";
    if (const auto simple = kFrom.find(c); simple != std::string_view::npos) {
      out += kTo[simple];
      return {};
    }
    const auto [digits, base] = numbered(c);
    if (base == 8) --at_;  // the character is the first of the digits
    std::uint32_t code = 0;
    const char* first = source_.data() + at_;
    if (digits == 0 || at_ + digits > source_.size())
      return syntax_error(begin, "an unknown escape in a string", "write `\\\\` for a backslash");
    const auto [end, status] = std::from_chars(first, first + digits, code, base);
    if (status != std::errc() || end != first + digits || !is_character(code))
      return syntax_error(begin, "an escape names no character");
    at_ += digits;
    append_utf8(out, code);
    return {};
  }

  /// A code point of Unicode that is no surrogate.
  static bool is_character(std::uint32_t code) {
    return code <= 0x10FFFF && (code < 0xD800 || code >= 0xE000);
  }

  std::string_view source_;
  std::size_t at_ = 0;
};

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Result<Node> run() {
    HEDDLE_ASSIGN_OR_RETURN(auto node, ternary());
    if (peek().kind != TokenKind::kEnd) {
      const bool is_number = peek().kind == TokenKind::kInt || peek().kind == TokenKind::kDouble;
      const bool is_string = peek().kind == TokenKind::kString;
      return syntax_error(
          peek().offset,
          fmt::format("{} was not expected here", is_number   ? "a number"
                                                  : is_string ? "a string"
                                                              : fmt::format("`{}`", peek().text)));
    }
    return node;
  }

 private:
  const Token& peek() const { return tokens_[at_]; }
  bool is(std::string_view symbol) const {
    return peek().kind == TokenKind::kSymbol && peek().text == symbol;
  }
  bool take(std::string_view symbol) {
    if (!is(symbol)) return false;
    ++at_;
    return true;
  }
  Result<void> expect(std::string_view symbol) {
    if (take(symbol)) return {};
    return syntax_error(peek().offset, fmt::format("`{}` is missing here", symbol));
  }

  Result<Node> ternary() {
    if (++depth_ > kMaxDepth)
      return syntax_error(peek().offset,
                          fmt::format("the expression nests deeper than {}", kMaxDepth));
    HEDDLE_ASSIGN_OR_RETURN(auto condition, logical("||", Node::Kind::kOr));
    if (take("?")) {
      Node node;
      node.kind = Node::Kind::kTernary;
      node.offset = condition.offset;
      HEDDLE_ASSIGN_OR_RETURN(auto yes, ternary());
      HEDDLE_TRY(expect(":"));
      HEDDLE_ASSIGN_OR_RETURN(auto no, ternary());
      node.children.push_back(std::move(condition));
      node.children.push_back(std::move(yes));
      node.children.push_back(std::move(no));
      HEDDLE_TRY(measure(node));
      condition = std::move(node);
    }
    --depth_;
    return condition;
  }

  Result<Node> logical(std::string_view symbol, Node::Kind kind) {
    const auto operand = [&] {
      return kind == Node::Kind::kOr ? logical("&&", Node::Kind::kAnd) : relation();
    };
    HEDDLE_ASSIGN_OR_RETURN(auto left, operand());
    while (take(symbol)) {
      HEDDLE_ASSIGN_OR_RETURN(auto right, operand());
      HEDDLE_ASSIGN_OR_RETURN(left,
                              binary(kind, std::string(symbol), std::move(left), std::move(right)));
    }
    return left;
  }

  Result<Node> binary(Node::Kind kind, std::string text, Node left, Node right) const {
    Node node;
    node.kind = kind;
    node.offset = left.offset;
    node.text = std::move(text);
    node.children.push_back(std::move(left));
    node.children.push_back(std::move(right));
    HEDDLE_TRY(measure(node));
    return node;
  }

  /// Sets the height of a node whose children are complete. Everything that walks the tree does so
  /// by recursion, hence the limit.
  Result<void> measure(Node& node) const {
    for (const auto& child : node.children) node.height = std::max(node.height, child.height + 1);
    if (node.height <= kMaxHeight) return {};
    return syntax_error(node.offset,
                        fmt::format("the expression chains more than {} operations", kMaxHeight),
                        "split it, or write alternatives as a list with `in`");
  }

  Result<Node> relation() {
    HEDDLE_ASSIGN_OR_RETURN(auto left, sum());
    for (;;) {
      std::string symbol;
      for (const char* candidate : {"==", "!=", "<=", ">=", "<", ">"}) {
        if (is(candidate)) symbol = candidate;
      }
      // A name to the lexer, since a field in backticks may be called so.
      if (symbol.empty() && peek().kind == TokenKind::kName && peek().text == "in") symbol = "in";
      if (symbol.empty()) return left;
      ++at_;
      HEDDLE_ASSIGN_OR_RETURN(auto right, sum());
      HEDDLE_ASSIGN_OR_RETURN(
          left, binary(Node::Kind::kBinary, symbol, std::move(left), std::move(right)));
    }
  }

  Result<Node> sum() {
    HEDDLE_ASSIGN_OR_RETURN(auto left, product());
    // From the left, so that `a - b - c` is `(a - b) - c`.
    while (is("+") || is("-")) {
      const std::string symbol = tokens_[at_++].text;
      HEDDLE_ASSIGN_OR_RETURN(auto right, product());
      HEDDLE_ASSIGN_OR_RETURN(
          left, binary(Node::Kind::kBinary, symbol, std::move(left), std::move(right)));
    }
    return left;
  }

  Result<Node> product() {
    HEDDLE_ASSIGN_OR_RETURN(auto left, unary());
    while (is("*") || is("/") || is("%")) {
      const std::string symbol = tokens_[at_++].text;
      HEDDLE_ASSIGN_OR_RETURN(auto right, unary());
      HEDDLE_ASSIGN_OR_RETURN(
          left, binary(Node::Kind::kBinary, symbol, std::move(left), std::move(right)));
    }
    return left;
  }

  Result<Node> unary() {
    if (is("!") || is("-")) {
      if (++depth_ > kMaxDepth)
        return syntax_error(peek().offset,
                            fmt::format("the expression nests deeper than {}", kMaxDepth));
      Node node;
      node.kind = Node::Kind::kUnary;
      node.offset = peek().offset;
      node.text = tokens_[at_++].text;
      if (node.text == "-" && peek().kind == TokenKind::kInt &&
          peek().i == INT64_MIN) {  // the one literal that only fits negated
        node.kind = Node::Kind::kInt;
        node.i = INT64_MIN;
        ++at_;
        --depth_;
        return node;
      }
      HEDDLE_ASSIGN_OR_RETURN(auto operand, unary());
      node.children.push_back(std::move(operand));
      HEDDLE_TRY(measure(node));
      --depth_;
      return node;
    }
    return member();
  }

  Result<Node> member() {
    HEDDLE_ASSIGN_OR_RETURN(auto node, primary());
    while (is(".") || is("[")) {
      if (is("["))
        return syntax_error(peek().offset, "indexing is not part of the profile",
                            "lists serve `in` and `size`");
      ++at_;
      const bool quoted = peek().kind == TokenKind::kQuotedName;
      if (peek().kind != TokenKind::kName && !quoted)
        return syntax_error(peek().offset, "a name is missing after `.`");
      const Token name = tokens_[at_++];
      if (!quoted && take("(")) {
        // `ledger.count(x)` calls a function whose name is dotted; `date.getHours()` a method. The
        // checker tells them apart.
        Node call;
        call.kind = Node::Kind::kCall;
        call.method = true;
        call.offset = node.offset;
        call.text = name.text;
        call.children.push_back(std::move(node));
        HEDDLE_TRY(arguments(call));
        HEDDLE_TRY(measure(call));
        node = std::move(call);
        // Fields and attributes may have dots: `attributes.rows`.
      } else if (node.kind == Node::Kind::kName) {
        node.text += "." + name.text;
      } else {
        return syntax_error(name.offset, fmt::format("nothing has a member `{}` here", name.text));
      }
    }
    return node;
  }

  Result<void> arguments(Node& call) {
    if (take(")")) return {};
    for (;;) {
      HEDDLE_ASSIGN_OR_RETURN(auto argument, ternary());
      call.children.push_back(std::move(argument));
      if (take(")")) return {};
      HEDDLE_TRY(expect(","));
    }
  }

  /// What begins with a name without backticks: a literal, a call or a variable.
  Result<Node> named(const Token& token, Node node) {
    if (token.text == "true" || token.text == "false") {
      node.kind = Node::Kind::kBool;
      node.b = token.text == "true";
      return node;
    }
    if (token.text == "null") {
      node.kind = Node::Kind::kNull;
      return node;
    }
    if (token.text == "in") return syntax_error(token.offset, "`in` needs something before it");
    node.text = token.text;
    node.kind = Node::Kind::kName;
    if (take("(")) {
      node.kind = Node::Kind::kCall;
      HEDDLE_TRY(arguments(node));
      HEDDLE_TRY(measure(node));
    }
    return node;
  }

  /// What begins with a bracket: an expression in parentheses, or a list.
  Result<Node> grouped(const Token& token, Node node) {
    if (take("(")) {
      HEDDLE_ASSIGN_OR_RETURN(node, ternary());
      HEDDLE_TRY(expect(")"));
      return node;
    }
    if (!take("["))
      return syntax_error(token.offset, fmt::format("`{}` was not expected here", token.text));
    node.kind = Node::Kind::kList;
    // A comma may stand before the closing bracket.
    while (!take("]")) {
      HEDDLE_ASSIGN_OR_RETURN(auto item, ternary());
      node.children.push_back(std::move(item));
      if (take("]")) break;
      HEDDLE_TRY(expect(","));
    }
    HEDDLE_TRY(measure(node));
    return node;
  }

  Result<Node> primary() {
    const Token token = peek();
    Node node;
    node.offset = token.offset;
    switch (token.kind) {
      case TokenKind::kEnd: return syntax_error(token.offset, "the expression ends too early");
      case TokenKind::kInt:
        // It is a number only behind a minus, where `unary` took it.
        if (token.i == INT64_MIN)
          return syntax_error(token.offset, "an integer is out of range", "integers have 64 bits");
        node.kind = Node::Kind::kInt;
        node.i = token.i;
        break;
      case TokenKind::kDouble:
        node.kind = Node::Kind::kDouble;
        node.d = token.d;
        break;
      case TokenKind::kString:
        node.kind = Node::Kind::kString;
        node.text = token.text;
        break;
      case TokenKind::kQuotedName:
        node.kind = Node::Kind::kName;
        node.text = token.text;
        break;
      case TokenKind::kName: ++at_; return named(token, std::move(node));
      case TokenKind::kSymbol: return grouped(token, std::move(node));
    }
    ++at_;
    return node;
  }

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

std::string written(std::string_view name) {
  static constexpr std::string_view kWords[] = {"true", "false", "null", "in"};
  bool plain = !name.empty();
  // Each part of a dotted name by itself.
  for (std::size_t begin = 0; plain && begin <= name.size();) {
    const std::string_view part = name.substr(begin, name.find('.', begin) - begin);
    plain =
        !part.empty() && is_letter(part[0]) &&
        std::find(std::begin(kWords), std::end(kWords), part) == std::end(kWords) &&
        std::all_of(part.begin(), part.end(), [](char c) { return is_letter(c) || is_digit(c); });
    begin += part.size() + 1;
  }
  return plain ? std::string(name) : fmt::format("`{}`", name);
}

Result<Node> parse(std::string_view source) {
  if (source.size() > kMaxSource)
    return syntax_error(kMaxSource, fmt::format("an expression may have {} bytes", kMaxSource));
  HEDDLE_ASSIGN_OR_RETURN(auto tokens, Lexer(source).run());
  return Parser(std::move(tokens)).run();
}

}  // namespace heddle::expr
