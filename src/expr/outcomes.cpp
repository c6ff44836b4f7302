#include "expr/outcomes.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <re2/re2.h>

#include "expr/operations.hpp"
#include "expr/syntax.hpp"
#include "expr/values.hpp"

namespace heddle::expr {
namespace {

/// More combinations of listed values are not tried one by one.
constexpr std::size_t kMostCombinations = 256;
/// Cases times nodes that a rule is tried in.
constexpr std::size_t kMostWork = 200'000;

/// What parts are assumed to be, by node.
using Assumed = std::map<const Node*, Values>;

bool is_comparison(const Node& node) {
  return node.kind == Node::Kind::kBinary &&
         (node.text == "in" || node.text[0] == '<' || node.text[0] == '>' || node.text[0] == '=' ||
          node.text[0] == '!');
}

/// The same text for the same computation.
std::string key_of(const Node& node) {
  std::string out = fmt::format("{}", static_cast<int>(node.kind));
  switch (node.kind) {
    case Node::Kind::kBool: out += node.b ? "t" : "f"; break;
    case Node::Kind::kInt: out += fmt::to_string(node.i); break;
    case Node::Kind::kDouble: out += fmt::format("{}", node.d); break;
    // With its length, so that no text reads like another tree.
    default: out += fmt::format("{}:{}", node.text.size(), node.text);
  }
  out += '(';
  for (const Node& child : node.children) out += key_of(child) + ",";
  return out + ")";
}

/// Works out the values of each part of a tree, from its leaves.
class Analysis {
 public:
  Analysis(const Environment& environment, std::span<const Domain> domains)
      : environment_(environment), domains_(domains) {}

  Values of(const Node& node, const Assumed& assumed, std::vector<Outcomes::Fault>* faults) {
    if (const auto found = assumed.find(&node); found != assumed.end()) return found->second;
    const std::size_t before = faults == nullptr ? 0 : faults->size();
    Values out = computed(node, assumed, faults);
    // What holds a part that always fails is not told again.
    if (faults != nullptr && out.always_fails() && faults->size() == before)
      faults->push_back(fault_of(node));
    return out;
  }

 private:
  Values computed(const Node& node, const Assumed& assumed, std::vector<Outcomes::Fault>* faults) {
    switch (node.kind) {
      case Node::Kind::kNull: return missing();
      case Node::Kind::kBool: return Values::listed(Type::kBool, {Datum::boolean(node.b)});
      case Node::Kind::kInt: return Values::listed(Type::kInt, {Datum::integer(node.i)});
      case Node::Kind::kDouble: return Values::listed(Type::kDouble, {Datum::real(node.d)});
      case Node::Kind::kString: return Values::listed(Type::kString, {Datum::string(node.text)});
      case Node::Kind::kList: return list(node, assumed, faults);
      case Node::Kind::kName: return variable(node);
      case Node::Kind::kTernary: return ternary(node, assumed, faults);
      default: return operation(node, operands_of(node, assumed, faults));
    }
  }

  std::vector<Values> operands_of(const Node& node, const Assumed& assumed,
                                  std::vector<Outcomes::Fault>* faults) {
    std::vector<Values> operands;
    // A dotted function of the host is a call on a name that is no variable.
    const bool is_host = node.kind == Node::Kind::kCall && host_of(node) != nullptr;
    for (const Node& child : node.children) {
      const bool is_name = is_host && &child == &node.children.front() && node.method;
      operands.push_back(is_name ? unknown() : of(child, assumed, faults));
    }
    return operands;
  }

  Values operation(const Node& node, const std::vector<Values>& operands) {
    switch (node.kind) {
      case Node::Kind::kUnary: return unary(node, operands[0]);
      case Node::Kind::kBinary: return binary(node, operands[0], operands[1]);
      case Node::Kind::kAnd: return logical(operands[0], operands[1], false);
      case Node::Kind::kOr: return logical(operands[0], operands[1], true);
      default: return call(node, operands);
    }
  }

  static Values missing() {
    Values out = Values::listed(Type::kDyn, {});
    out.may_be_null = true;
    return out;
  }

  static Values unknown(Type type = Type::kDyn) {
    Values out = Values::any(type);
    out.may_be_null = true;
    out.may_be_error = true;
    return out;
  }

  Values variable(const Node& node) {
    for (std::size_t i = 0; i < environment_.variables.size(); ++i) {
      const auto& [name, type] = environment_.variables[i];
      if (name != node.text) continue;
      Values out = Values::any(type);
      if (i < domains_.size()) {
        const Domain& domain = domains_[i];
        out.low = std::max(out.low, domain.low);
        out.high = std::min(out.high, domain.high);
        out.may_be_nan = out.may_be_nan && domain.may_be_nan;
        // Of texts a domain lists all of them; of numbers it has bounds.
        if (!domain.texts.empty() && type == Type::kString) {
          out = Values::listed(type, {});
          for (const auto& text : domain.texts) out.items.push_back(Datum::string(text));
        }
      }
      out.may_be_null = true;
      return out;
    }
    return unknown();
  }

  Values list(const Node& node, const Assumed& assumed, std::vector<Outcomes::Fault>* faults) {
    auto& items = lists_.emplace_back();
    for (const Node& child : node.children) {
      const Values value = of(child, assumed, faults);
      // What is no constant does not compile, and is reported there.
      items.push_back(value.items.empty() ? Datum::null() : value.items.front());
    }
    views_.push_back({items.data(), static_cast<std::uint32_t>(items.size())});
    return Values::listed(Type::kList, {Datum::list_of(&views_.back())});
  }

  Values ternary(const Node& node, const Assumed& assumed, std::vector<Outcomes::Fault>* faults) {
    const Values condition = of(node.children[0], assumed, faults);
    const Values yes = of(node.children[1], assumed, faults);
    const Values no = of(node.children[2], assumed, faults);
    Values out = Values::listed(common_type(yes.type, no.type), {});
    // A side that is never taken adds nothing.
    if (condition.may_be(true)) out = either(out, yes);
    if (condition.may_be(false)) out = either(out, no);
    out.may_be_null = out.may_be_null || condition.may_be_null;
    out.may_be_error = out.may_be_error || condition.may_be_error;
    return out;
  }

  Values unary(const Node& node, const Values& operand) {
    // What is never a value stays without one; of all else nothing is known.
    if (operand.type == Type::kDyn) return operand.has_none() ? operand : unknown();
    Values out = Values::listed(operand.type, {});
    if (operand.is_listed) {
      for (const Datum& item : operand.items) {
        out.add(node.text == "!" ? Datum::boolean(!item.b) : negate(item));
      }
    } else {
      out = negated(operand);
    }
    out.may_be_null = operand.may_be_null;
    out.may_be_error = out.may_be_error || operand.may_be_error;
    return out;
  }

  Values binary(const Node& node, const Values& a, const Values& b) {
    const bool is_null_left = node.children[0].kind == Node::Kind::kNull;
    if (is_null_test(node)) return null_test(is_null_left ? b : a, node.text == "==");
    const auto is_open = [](const Values& each) {
      return each.type == Type::kDyn && !each.has_none();
    };
    const bool is_unknown = is_open(a) || is_open(b);
    Values out = is_comparison(node) ? comparison(node, a, b) : arithmetic(node, a, b, is_unknown);
    add_absences(a, out);
    add_absences(b, out);
    out.may_be_error = out.may_be_error || is_unknown;
    return out;
  }

  static bool is_null_test(const Node& node) {
    return (node.text == "==" || node.text == "!=") &&
           (node.children[0].kind == Node::Kind::kNull ||
            node.children[1].kind == Node::Kind::kNull);
  }

  /// What comes of an operand that is null or an error is one too.
  static void add_absences(const Values& operand, Values& out) {
    out.may_be_null = out.may_be_null || operand.may_be_null;
    out.may_be_error = out.may_be_error || operand.may_be_error;
  }

  static Values null_test(const Values& value, bool is_null) {
    Values out = Values::listed(Type::kBool, {});
    if (value.may_be_null) out.add(Datum::boolean(is_null));
    if (!value.has_none()) out.add(Datum::boolean(!is_null));
    out.may_be_error = value.may_be_error;
    return out;
  }

  Values comparison(const Node& node, const Values& a, const Values& b) {
    Values out = Values::listed(Type::kBool, {});
    // All that comes of it is null or an error, which `add_absences` says.
    if (a.has_none() || b.has_none()) return out;
    if ((a.type == Type::kDyn) || (b.type == Type::kDyn)) return Values::any(Type::kBool);
    if (are_few(a, b)) {
      for (const Datum& x : a.items) {
        for (const Datum& y : b.items) out.add(compared(node.text, x, y));
      }
      return out;
    }
    if (node.text == "in") return membership(a, b);
    Orders orders = orders_of(a, b);
    // The same computation twice: it is equal to itself, except where it is not a number.
    if (key_of(node.children[0]) == key_of(node.children[1]))
      orders = {false, true, false, a.has_nan()};
    return by_orders(node.text, orders);
  }

  /// Whether each pair of values can be looked at.
  static bool are_few(const Values& a, const Values& b) {
    return a.is_listed && b.is_listed && a.items.size() * b.items.size() <= kMostCombinations;
  }

  /// What a comparison gives where these orders are possible.
  static Values by_orders(std::string_view op, const Orders& orders) {
    Values out = Values::listed(Type::kBool, {});
    const auto add = [&](bool is_possible, bool result) {
      if (is_possible) out.add(Datum::boolean(result));
    };
    add(orders.less, op == "<" || op == "<=" || op == "!=");
    add(orders.equal, op == "<=" || op == ">=" || op == "==");
    add(orders.greater, op == ">" || op == ">=" || op == "!=");
    add(orders.none, op == "!=");
    return out;
  }

  static Datum compared(const std::string& op, const Datum& x, const Datum& y) {
    if (op == "in") return member_of(x, y);
    if (op == "==" || op == "!=") return equality(x, y, op == "!=");
    return compare_by(op == "<"    ? Op::kLess
                      : op == "<=" ? Op::kLessEqual
                      : op == ">"  ? Op::kGreater
                                   : Op::kGreaterEqual,
                      x, y);
  }

  /// Values that are not listed are never all in a list.
  static Values membership(const Values& a, const Values& b) {
    Values out = Values::listed(Type::kBool, {Datum::boolean(false)});
    for (const Datum& list : b.items) {
      for (std::uint32_t i = 0; i < list.list->size; ++i) {
        const Datum& item = list.list->items[i];
        // A null of the list equals nothing.
        if (!item.is_null() && orders_of(a, Values::listed(a.type, {item})).equal)
          out.add(Datum::boolean(true));
      }
    }
    return out;
  }

  Values arithmetic(const Node& node, const Values& a, const Values& b, bool is_unknown) {
    const char op = node.text[0];
    if (is_unknown) return Values::any(Type::kDyn);
    const Type type = arithmetic_type(op, a.type, b.type);
    if (!are_few(a, b)) return arithmetic_of(op, a, b, type);
    Values out = Values::listed(type, {});
    for (const Datum& x : a.items) {
      for (const Datum& y : b.items) {
        switch (op) {
          case '+': out.add(add(x, y, strings_)); break;
          case '-': out.add(subtract(x, y)); break;
          case '*': out.add(multiply(x, y)); break;
          case '/': out.add(divide(x, y)); break;
          default: out.add(modulo(x, y));
        }
      }
    }
    return out;
  }

  static std::vector<Datum> outcomes_in(const Values& values) {
    std::vector<Datum> out;
    for (const bool value : {false, true}) {
      if (values.may_be(value)) out.push_back(Datum::boolean(value));
    }
    if (values.may_be_null) out.push_back(Datum::null());
    if (values.may_be_error) out.push_back(Datum::error());
    return out;
  }

  static Values logical(const Values& a, const Values& b, bool decides) {
    Values out = Values::listed(Type::kBool, {});
    // Every pair, for one side may decide where the other has no value: `false && error` is false.
    for (const Datum& x : outcomes_in(a)) {
      for (const Datum& y : outcomes_in(b)) out.add(merge(x, y, decides));
    }
    return out;
  }

  const Function* host_of(const Node& node) const {
    std::string name = node.text;
    if (node.method && node.children[0].kind == Node::Kind::kName)
      name = node.children[0].text + "." + node.text;
    for (const auto& function : environment_.functions) {
      if (function.name == name || function.name == node.text) return &function;
    }
    return nullptr;
  }

  Values call(const Node& node, const std::vector<Values>& arguments) {
    // What a function of the host answers is known when it is called.
    if (const Function* host = host_of(node); host != nullptr) return unknown(host->result);
    std::vector<Type> types;
    for (const Values& each : arguments) {
      // Which overload is meant is not known before the value is.
      if (each.type == Type::kDyn && !each.has_none()) return unknown();
      types.push_back(each.type);
    }
    Values out = Values::any(Type::kBool);
    if (node.text == "matches") {
      if (arguments[0].is_listed) out = matched(arguments[0], node.children[1].text);
    } else {
      const Builtin* builtin = overload_of(node.text, types);
      if (builtin == nullptr) return unknown();
      if (builtin->nullable) return nullable(node, arguments, builtin->result);
      out = called(*builtin, arguments);
    }
    for (const Values& each : arguments) add_absences(each, out);
    return out;
  }

  static Values matched(const Values& texts, const std::string& pattern) {
    const re2::RE2 compiled(pattern, re2::RE2::Quiet);
    if (!compiled.ok()) return Values::any(Type::kBool);
    Values out = Values::listed(Type::kBool, {});
    for (const Datum& item : texts.items) {
      const re2::StringPiece text(item.s, item.size);
      out.add(Datum::boolean(re2::RE2::PartialMatch(text, compiled)));
    }
    return out;
  }

  /// `is_null` and `coalesce`, which are asked about missing values too.
  static Values nullable(const Node& node, const std::vector<Values>& arguments, Type type) {
    const Values& first = arguments[0];
    if (node.text == "is_null") return null_test(first, true);
    Values out = Values::listed(type, {});
    // The first where it is there; the second only where the first may be missing.
    Values present = first;
    present.may_be_null = false;
    out = either(out, type == Type::kDouble ? as_double(present) : present);
    if (first.may_be_null) {
      Values second = arguments[1];
      out = either(out, type == Type::kDouble ? as_double(std::move(second)) : std::move(second));
    }
    out.may_be_error = first.may_be_error || arguments[1].may_be_error;
    return out;
  }

  Values called(const Builtin& builtin, const std::vector<Values>& arguments) {
    std::size_t combinations = 1;
    for (const Values& each : arguments) {
      combinations = each.is_listed ? combinations * each.items.size() : kMostCombinations + 1;
      // Before the product gets too large to be one.
      if (combinations > kMostCombinations) break;
    }
    if (combinations > kMostCombinations) return call_of(builtin.name, arguments, builtin.result);
    Values out = Values::listed(builtin.result, {});
    for (std::size_t i = 0; i < combinations; ++i) {
      std::vector<Datum> chosen;
      std::size_t rest = i;
      for (const Values& each : arguments) {
        chosen.push_back(each.items[rest % each.items.size()]);
        rest /= each.items.size();
      }
      out.add(builtin.call(chosen, strings_));
    }
    return out;
  }

  static Outcomes::Fault fault_of(const Node& node) {
    Outcomes::Fault out;
    out.offset = node.offset;
    const bool is_division =
        node.kind == Node::Kind::kBinary && (node.text == "/" || node.text == "%");
    if (is_division) {
      out.message = fmt::format("`{}` always fails: an integer is divided by 0", node.text);
      out.hint = "divide by something else; `x / 0.0` of a double is infinite";
    } else if (node.kind == Node::Kind::kCall) {
      out.message = fmt::format("`{}` fails on every value that it can get", node.text);
      out.hint = "docs/expressions.md says what it takes";
    } else {
      out.message = fmt::format("`{}` always fails: its result is out of range", node.text);
      out.hint = "integers have 64 bits, times the years 1 to 9999";
    }
    return out;
  }

  const Environment& environment_;
  std::span<const Domain> domains_;
  StringPool strings_;
  std::deque<std::vector<Datum>> lists_;
  std::deque<ListView> views_;
};

/// Splits the rows into cases in which comparisons with constants have one outcome each: `x > 5 &&
/// x < 3` is false in every case, though each half is true in some.
class Cases {
 public:
  Cases(const Node& root, Analysis& analysis) : analysis_(analysis) { collect(root); }

  /// The outcomes of the whole over all cases; nothing where there are too many.
  [[nodiscard]] std::optional<Values> outcomes(const Node& root) {
    std::vector<Split> splits;
    std::size_t cases = 1;
    for (auto& [key, term] : terms_) {
      // What stands in one place is right as it was analysed: only parts that hang together need
      // cases.
      if (term.places.size() < 2) continue;
      std::vector<Values> cells = cells_of(term);
      if (cells.size() < 2) continue;
      // What is not split needs no case.
      cases *= cells.size();
      // The first analysis stands then: it allows too much, and reports nothing that is right.
      if (cases * nodes_ > kMostWork) return std::nullopt;
      splits.push_back({term.places, std::move(cells)});
    }
    Values out = Values::listed(Type::kBool, {});
    for (std::size_t i = 0; i < cases; ++i) {
      Assumed assumed;
      // The cases are counted like numbers whose digits are the splits.
      std::size_t rest = i;
      for (const Split& split : splits) {
        for (const Node* place : split.places)
          assumed[place] = split.cells[rest % split.cells.size()];
        rest /= split.cells.size();
      }
      out = either(out, analysis_.of(root, assumed, nullptr));
    }
    return out;
  }

 private:
  struct Term {
    std::vector<const Node*> places{};
    Values values{};  ///< on all rows
    std::vector<Datum> cuts{};
  };
  struct Split {
    std::vector<const Node*> places;
    std::vector<Values> cells;
  };

  void collect(const Node& node) {
    ++nodes_;
    // A list holds constants, and a host's function may be named like a variable.
    if (node.kind == Node::Kind::kList) return;
    if (node.kind == Node::Kind::kName || node.kind == Node::Kind::kCall) {
      Term& term = terms_[key_of(node)];
      term.places.push_back(&node);
      if (term.places.size() == 1) term.values = analysis_.of(node, {}, nullptr);
    }
    for (const Node& child : node.children) collect(child);
    if (!is_comparison(node)) return;
    cut(node.children[0], node.children[1]);
    cut(node.children[1], node.children[0]);
  }

  /// Where `term` is compared with constants.
  void cut(const Node& term, const Node& constant) {
    const auto found = terms_.find(key_of(term));
    if (found == terms_.end()) return;
    const Values values = analysis_.of(constant, {}, nullptr);
    if (!values.is_listed) return;
    for (const Datum& item : values.items) {
      if (item.kind != Datum::Kind::kList) {
        found->second.cuts.push_back(item);
        continue;
      }
      for (std::uint32_t i = 0; i < item.list->size; ++i) {
        if (!item.list->items[i].is_null()) found->second.cuts.push_back(item.list->items[i]);
      }
    }
  }

  /// Parts of what a term may be that together are all of it; one where it is not split.
  static std::vector<Values> cells_of(const Term& term) {
    const Values& values = term.values;
    std::vector<Values> cells;
    if (values.type == Type::kDyn) return cells;
    if (values.is_listed) {
      for (const Datum& item : values.items) cells.push_back(Values::listed(values.type, {item}));
    } else if (has_bounds(values.type)) {
      if (!split_numbers(term, cells)) return {};
    } else {
      // Each text that is compared with, and all others together.
      Values other = values;
      other.may_be_null = false;
      other.may_be_error = false;
      for (const Datum& text : term.cuts) {
        const bool is_new = std::none_of(other.except.begin(), other.except.end(),
                                         [&](const Datum& each) { return equal(each, text); });
        if (!is_new) continue;
        other.except.push_back(text);
        cells.push_back(Values::listed(values.type, {text}));
      }
      cells.push_back(std::move(other));
    }
    if (values.may_be_null) {
      cells.push_back(Values::listed(values.type, {}));
      cells.back().may_be_null = true;
    }
    if (values.may_be_error) cells.push_back(Values::failure(values.type));
    return cells;
  }

  /// The points that a number or time is compared with, and what lies between them.
  static bool split_numbers(const Term& term, std::vector<Values>& cells) {
    const Values& values = term.values;
    const bool is_whole = values.type != Type::kDouble;
    std::set<double> cuts;
    for (const Datum& cut : term.cuts) {
      const double at = bound_of(cut);
      if (std::isnan(at)) continue;
      // Two integers may be one double there, and a cut would be at the wrong one.
      if (is_whole && std::abs(at) > 0x1p53) return false;
      cuts.insert(at);
    }
    const auto between = [&](double low, double high) {
      low = std::max(low, values.low), high = std::min(high, values.high);
      if (low <= high) cells.push_back(Values::between(values.type, low, high));
    };
    double low = values.low;
    for (const double at : cuts) {
      const bool is_point = !is_whole || std::floor(at) == at;
      // The largest value below the point, which is a case by itself.
      between(low, is_whole ? std::ceil(at) - 1 : std::nextafter(at, -Values::kInfinity));
      if (is_point) between(at, at);
      low = is_whole ? std::floor(at) + 1 : std::nextafter(at, Values::kInfinity);
    }
    between(low, values.high);
    if (values.may_be_nan) {
      cells.push_back(Values::listed(values.type, {Datum::real(std::nan(""))}));
    }
    return true;
  }

  Analysis& analysis_;
  std::map<std::string, Term> terms_;
  std::size_t nodes_ = 0;
};

}  // namespace

Outcomes outcomes_of(std::string_view source, const Environment& environment,
                     std::span<const Domain> domains) {
  Outcomes out;
  const auto root = parse(source);
  // The compiler reports it, with its place.
  if (!root.ok()) return out;
  Analysis analysis(environment, domains);
  Values values = analysis.of(*root, {}, &out.faults);
  // A rule that always fails somewhere is reported for that.
  if (values.type == Type::kBool && out.faults.empty()) {
    if (auto split = Cases(*root, analysis).outcomes(*root)) values = std::move(*split);
  }
  out.may_be_true = values.may_be(true);
  out.may_be_false = values.may_be(false);
  out.may_be_value = !values.has_none();
  return out;
}

}  // namespace heddle::expr
