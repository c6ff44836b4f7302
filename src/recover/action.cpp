#include "recover/action.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <type_traits>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace heddle::recover {
namespace {

/// An attribute is read by rules and people: pages go elsewhere.
constexpr std::size_t kLongestAttribute = 512;

class Writer {
 public:
  template <class T>
  void operator()(std::string_view name, const T& member) {
    if constexpr (std::is_same_v<T, std::string>) {
      // Left out and not cut: a part of a text could be taken for all of it.
      if (member.size() > kLongestAttribute) return;
    }
    out_.set(std::string(name), member);
  }
  void optional(std::string_view name, const std::string& member) {
    // A rule tells "not given" from any value by the attribute's absence.
    if (!member.empty()) (*this)(name, member);
  }
  void numbers(std::string_view name, const std::vector<double>& member) {
    // A list is no attribute of a rule: it travels as a text, with all digits.
    (*this)(name, fmt::format("{}", fmt::join(member, ",")));
  }
  [[nodiscard]] doc::Value take() { return std::move(out_); }

 private:
  doc::Value out_ = doc::Value::object();
};

class Reader {
 public:
  Reader(std::string_view type, const doc::Value& from) : type_(type), from_(from) {}

  void operator()(std::string_view name, std::string& member) {
    const doc::Value* found = from_.find(name);
    if (found != nullptr && found->is_string()) {
      member = found->as_string();
    } else {
      refuse(name, "a text");
    }
  }
  void operator()(std::string_view name, bool& member) {
    const doc::Value* found = from_.find(name);
    if (found != nullptr && found->is_bool()) {
      member = found->as_bool();
    } else {
      refuse(name, "true or false");
    }
  }
  void operator()(std::string_view name, double& member) {
    const doc::Value* found = from_.find(name);
    if (found != nullptr && found->is_number()) {
      member = found->as_double();
    } else {
      refuse(name, "a number");
    }
  }
  template <class I>
    requires std::is_integral_v<I>
  void operator()(std::string_view name, I& member) {
    const doc::Value* found = from_.find(name);
    if (found != nullptr && found->is_int() && std::in_range<I>(found->as_int())) {
      member = static_cast<I>(found->as_int());
    } else {
      refuse(name, "a whole number in range");
    }
  }
  void optional(std::string_view name, std::string& member) {
    if (from_.find(name) != nullptr) (*this)(name, member);
  }
  void numbers(std::string_view name, std::vector<double>& member) {
    std::string text;
    optional(name, text);
    for (std::string_view rest = text; !rest.empty();) {
      const std::string_view one = rest.substr(0, rest.find(','));
      rest.remove_prefix(std::min(rest.size(), one.size() + 1));
      double number = 0;
      const auto end = std::from_chars(one.data(), one.data() + one.size(), number).ptr;
      if (end != one.data() + one.size()) return refuse(name, "numbers with commas between them");
      member.push_back(number);
    }
  }
  [[nodiscard]] const std::optional<Error>& fault() const noexcept { return fault_; }

 private:
  void refuse(std::string_view name, std::string_view wanted) {
    // The first fault names the place; what follows may come of it.
    if (fault_) return;
    fault_ = Error{ErrorKind::kCorrupt, "action-member",
                   fmt::format("`{}` of the action `{}` is not {}", name, type_, wanted),
                   "run `heddle audit verify`"};
  }

  std::string_view type_;
  const doc::Value& from_;
  std::optional<Error> fault_;
};

template <class T>
Result<What> read(std::string_view type, const doc::Value& attributes) {
  T out{};
  Reader reader(type, attributes);
  T::members(out, reader);
  if (reader.fault()) return *reader.fault();
  return What(std::move(out));
}

/// The alternatives of one type are told apart by a member: a swap back says so.
template <class T>
bool is_of(std::string_view type, const doc::Value& attributes) {
  if (T::kType != type) return false;
  if constexpr (T::kType == SwapBack::kType)
    return std::is_same_v<T, SwapBack> == attributes.bool_or("back");
  return true;
}

template <std::size_t I = 0>
Result<What> find_and_read(std::string_view type, const doc::Value& attributes) {
  if constexpr (I == std::variant_size_v<What>) {
    return Error{ErrorKind::kCorrupt, "action-unknown",
                 fmt::format("recovery has no action `{}`", type), "run `heddle audit verify`"};
  } else {
    using T = std::variant_alternative_t<I, What>;
    if (is_of<T>(type, attributes)) return read<T>(type, attributes);
    return find_and_read<I + 1>(type, attributes);
  }
}

}  // namespace

std::string_view Action::type() const { return type_of(what); }

std::string_view type_of(const What& what) noexcept {
  return std::visit([](const auto& each) { return std::decay_t<decltype(each)>::kType; }, what);
}

std::string target_of(const What& what, const std::string& incident, const std::string& service) {
  return std::visit(
      [&](const auto& each) {
        using T = std::decay_t<decltype(each)>;
        if constexpr (T::kTarget == Target::kIncident) {
          return "incident/" + incident;
        } else if constexpr (T::kTarget == Target::kSource) {
          return "source/" + each.source;
        } else {
          return "service/" + service;
        }
      },
      what);
}

doc::Value attributes_of(const What& what) {
  return std::visit(
      [](const auto& each) {
        Writer writer;
        std::decay_t<decltype(each)>::members(each, writer);
        return writer.take();
      },
      what);
}

Result<What> what_of(std::string_view type, const doc::Value& attributes) {
  return find_and_read(type, attributes);
}

}  // namespace heddle::recover
