// Any text compiles or is refused with a place inside it; what compiles evaluates without undefined
// behaviour, to a value of its type, and twice to the same.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "expr/program.hpp"

using namespace heddle;  // NOLINT(google-build-using-namespace): one function

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const expr::Environment environment = [] {
    expr::Environment out;
    out.variables = {{"i", expr::Type::kInt},      {"d", expr::Type::kDouble},
                     {"s", expr::Type::kString},   {"t", expr::Type::kTimestamp},
                     {"u", expr::Type::kDuration}, {"b", expr::Type::kBool},
                     {"n", expr::Type::kInt},      {"m.x", expr::Type::kDouble}};
    return out;
  }();
  static const expr::Datum row[] = {expr::Datum::integer(INT64_MIN),
                                    expr::Datum::real(-0.5),
                                    expr::Datum::string("h\xC3\xA9"),
                                    expr::Datum::timestamp(INT64_MIN),
                                    expr::Datum::duration(INT64_MAX),
                                    expr::Datum::boolean(true),
                                    expr::Datum::null(),
                                    expr::Datum::real(1e300)};
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  const auto program = expr::Program::compile(source, environment);
  if (!program.ok()) {
    if (!program.error().where.starts_with("offset ") ||
        std::strtoull(program.error().where.c_str() + 7, nullptr, 10) > size)
      std::abort();
    return 0;
  }
  if (!expr::names_in(source).ok()) std::abort();
  expr::Program::Scratch one, other;
  const auto first = program->evaluate(row, one);
  const auto second = program->evaluate(row, other);
  if (first.kind != second.kind || first.size != second.size) std::abort();
  const auto type = program->type();
  using Kind = expr::Datum::Kind;
  const bool fits = first.is_null() || first.is_error() ||
                    (type == expr::Type::kBool && first.kind == Kind::kBool) ||
                    (type == expr::Type::kInt && first.kind == Kind::kInt) ||
                    (type == expr::Type::kDouble && first.kind == Kind::kDouble) ||
                    (type == expr::Type::kString && first.kind == Kind::kString) ||
                    (type == expr::Type::kList && first.kind == Kind::kList) ||
                    (type == expr::Type::kTimestamp && first.kind == Kind::kTimestamp) ||
                    (type == expr::Type::kDuration && first.kind == Kind::kDuration);
  if (!fits) std::abort();
  return 0;
}
