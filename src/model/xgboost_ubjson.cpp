#include <bit>
#include <cmath>
#include <limits>

#include "model/xgboost.hpp"

// Universal Binary JSON, draft 12 (https://ubjson.org): a value is a marker byte and big-endian
// content; containers may say a count (`#`) and a type of all their elements (`$`).
namespace heddle::model {
namespace {

constexpr int kDeepestObject = 32;

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  [[nodiscard]] bool failed() const noexcept { return failed_; }
  [[nodiscard]] std::size_t at() const noexcept { return at_; }
  [[nodiscard]] std::size_t left() const noexcept { return bytes_.size() - at_; }

  /// The next marker, no-ops skipped; 0 at the end.
  char marker() {
    while (at_ < bytes_.size() && bytes_[at_] == 'N') ++at_;
    return take();
  }
  [[nodiscard]] char peek() {
    while (at_ < bytes_.size() && bytes_[at_] == 'N') ++at_;
    return at_ < bytes_.size() ? bytes_[at_] : '\0';
  }
  char take() {
    if (at_ < bytes_.size()) return bytes_[at_++];
    failed_ = true;
    return '\0';
  }
  template <class T>
  T big_endian() {
    T out = 0;
    if (left() < sizeof(T)) {
      failed_ = true;
      return out;
    }
    for (std::size_t i = 0; i < sizeof(T); ++i)
      out = static_cast<T>((std::uint64_t{out} << 8) | static_cast<unsigned char>(bytes_[at_ + i]));
    at_ += sizeof(T);
    return out;
  }
  std::int64_t integer(char type) {
    switch (type) {
      case 'i': return static_cast<std::int8_t>(big_endian<std::uint8_t>());
      case 'U': return big_endian<std::uint8_t>();
      case 'I': return static_cast<std::int16_t>(big_endian<std::uint16_t>());
      case 'l': return static_cast<std::int32_t>(big_endian<std::uint32_t>());
      case 'L': return static_cast<std::int64_t>(big_endian<std::uint64_t>());
      case 'T': return 1;
      case 'F': return 0;
      default: failed_ = true; return 0;
    }
  }
  float real(char type) {
    if (type == 'd') return std::bit_cast<float>(big_endian<std::uint32_t>());
    if (type == 'D') return static_cast<float>(std::bit_cast<double>(big_endian<std::uint64_t>()));
    return static_cast<float>(integer(type));
  }
  /// A length: never more than the bytes that are left.
  std::size_t length() {
    const std::int64_t value = integer(marker());
    if (failed_ || value < 0 || static_cast<std::uint64_t>(value) > left()) {
      failed_ = true;
      return 0;
    }
    return static_cast<std::size_t>(value);
  }
  std::string_view text() {
    const std::size_t size = length();
    const std::string_view out = bytes_.substr(at_, size);
    at_ += size;
    return out;
  }

  struct Container {
    char type = '\0';         ///< of each element; 0: each says its own
    std::int64_t count = -1;  ///< -1: until the end marker
  };
  /// After `[` or `{`.
  Container container() {
    Container out;
    if (peek() == '$') {
      (void)marker();
      out.type = take();
    }
    if (peek() == '#') {
      (void)marker();
      // Bounded by the bytes left, also where an element takes none (`Z`): a short file cannot ask
      // for a long loop.
      out.count = static_cast<std::int64_t>(length());
    } else if (out.type != '\0') {
      failed_ = true;  // a type needs a count
    }
    return out;
  }
  /// Whether another element follows; takes the end marker when none does.
  bool more(Container& container, char end) {
    if (failed_) return false;
    if (container.count >= 0) return container.count-- > 0;
    if (peek() == end) {
      (void)marker();
      return false;
    }
    // The end of the file came before the container's.
    if (left() == 0) failed_ = true;
    return !failed_;
  }
  char type_of(const Container& container) {
    return container.type != '\0' ? container.type : marker();
  }

  void skip(char type, int depth) {
    // A file may nest without end; the stack may not.
    if (depth > kDeepestObject) failed_ = true;
    if (failed_) return;
    switch (type) {
      case 'Z': return;
      case 'd': (void)big_endian<std::uint32_t>(); return;
      case 'D': (void)big_endian<std::uint64_t>(); return;
      case 'C': (void)take(); return;
      case 'S':
      case 'H': (void)text(); return;
      case '[': {
        Container inside = container();
        while (more(inside, ']')) skip(type_of(inside), depth + 1);
        return;
      }
      case '{': {
        Container inside = container();
        while (more(inside, '}')) {
          (void)text();
          skip(type_of(inside), depth + 1);
        }
        return;
      }
      default: (void)integer(type); return;
    }
  }
  void fail() noexcept { failed_ = true; }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
  bool failed_ = false;
};

/// Calls `field(key, type)` for each member of an object whose marker was `type`; `field` must
/// consume the value.
template <class Field>
void object(Reader& in, char type, Field&& field) {
  if (type != '{') return in.fail();
  auto inside = in.container();
  while (in.more(inside, '}')) {
    const std::string_view key = in.text();
    if (in.failed()) return;
    field(key, in.type_of(inside));
  }
}

template <class Item>
void array(Reader& in, char type, Item&& item) {
  if (type != '[') return in.fail();
  auto inside = in.container();
  while (in.more(inside, ']')) item(in.type_of(inside));
}

void integers(Reader& in, char type, std::vector<std::int32_t>& out) {
  out.clear();
  array(in, type, [&](char element) {
    const std::int64_t value = in.integer(element);
    if (value < std::numeric_limits<std::int32_t>::min() ||
        value > std::numeric_limits<std::int32_t>::max())
      return in.fail();
    out.push_back(static_cast<std::int32_t>(value));
  });
}
void floats(Reader& in, char type, std::vector<float>& out) {
  out.clear();
  array(in, type, [&](char element) { out.push_back(in.real(element)); });
}
void text(Reader& in, char type, std::string& out) {
  if (type != 'S') return in.fail();
  out = in.text();
}

void texts(Reader& in, char type, std::vector<std::string>& out) {
  out.clear();
  array(in, type, [&](char element) { text(in, element, out.emplace_back()); });
}

/// Members that `parts.parameter` knows; the others are passed over.
void parameters(Reader& in, char type, XgboostParts& parts) {
  object(in, type, [&](std::string_view name, char inner) {
    auto* const known = parts.parameter(name);
    return known != nullptr ? text(in, inner, *known) : in.skip(inner, 0);
  });
}

void tree(Reader& in, char type, XgboostParts& parts) {
  XgboostTree& out = parts.trees.emplace_back();
  object(in, type, [&](std::string_view member, char inner) {
    if (auto* const known = out.integers(member)) return integers(in, inner, *known);
    if (auto* const known = out.floats(member)) return floats(in, inner, *known);
    if (member != "tree_param") return in.skip(inner, 0);
    object(in, inner, [&](std::string_view parameter, char written) {
      if (parameter != "size_leaf_vector") return in.skip(written, 0);
      std::string size;
      text(in, written, size);
      if (size != "0" && size != "1") parts.vector_leaves = true;
    });
  });
}

/// From 3.1 on: the names of categories, where training saw names.
void categories(Reader& in, char type, XgboostParts& parts) {
  object(in, type, [&](std::string_view member, char inner) {
    if (member != "enc") return in.skip(inner, 0);
    array(in, inner, [&](char element) {
      parts.named_categories = true;
      in.skip(element, 0);
    });
  });
}

void trees(Reader& in, char type, XgboostParts& parts) {
  parts.has_trees = true;
  parts.trees.clear();  // of a member that is given twice, the last one counts
  array(in, type, [&](char element) { tree(in, element, parts); });
}

void model(Reader& in, char type, XgboostParts& parts) {
  object(in, type, [&](std::string_view name, char content) {
    if (name == "tree_info") return integers(in, content, parts.tree_info);
    if (name == "weight_drop") return floats(in, content, parts.weight_drop);
    if (name == "gbtree_model_param") return parameters(in, content, parts);
    if (name == "cats") return categories(in, content, parts);
    return name == "trees" ? trees(in, content, parts) : in.skip(content, 0);
  });
}

void booster(Reader& in, char type, XgboostParts& parts, bool nested) {
  object(in, type, [&](std::string_view key, char value) {
    if (key == "name" && !nested) return text(in, value, parts.booster);
    if (key == "gbtree" && !nested) return booster(in, value, parts, true);
    if (key == "weight_drop") return floats(in, value, parts.weight_drop);
    return key == "model" ? model(in, value, parts) : in.skip(value, 0);
  });
}

void objective(Reader& in, char type, XgboostParts& parts) {
  object(in, type, [&](std::string_view member, char inner) {
    return member == "name" ? text(in, inner, parts.objective) : in.skip(inner, 0);
  });
}

void attributes(Reader& in, char type, XgboostParts& parts) {
  object(in, type, [&](std::string_view member, char inner) {
    auto* const known = parts.attribute(member);
    return known != nullptr ? text(in, inner, *known) : in.skip(inner, 0);
  });
}

void learner(Reader& in, char type, XgboostParts& parts) {
  object(in, type, [&](std::string_view name, char value) {
    if (name == "gradient_booster") return booster(in, value, parts, false);
    if (name == "learner_model_param") return parameters(in, value, parts);
    if (name == "feature_names") return texts(in, value, parts.feature_names);
    if (name == "objective") return objective(in, value, parts);
    return name == "attributes" ? attributes(in, value, parts) : in.skip(value, 0);
  });
}

}  // namespace

Result<XgboostParts> parse_xgboost_ubjson(std::string_view bytes) {
  Reader in(bytes);
  XgboostParts parts;
  object(in, in.marker(), [&](std::string_view key, char type) {
    if (key == "learner") return learner(in, type, parts);
    return key == "version" ? integers(in, type, parts.version) : in.skip(type, 0);
  });
  if (in.failed())
    return xgboost_corrupt(fmt::format("does not read as UBJSON at byte {}", in.at()));
  return parts;
}

}  // namespace heddle::model
