#include "train/signature.hpp"

#include <algorithm>

#include "doc/json.hpp"
#include "train/own.hpp"
#include "train/own_parts.hpp"

namespace heddle::train {
namespace {

constexpr std::int64_t kMostSignature = 16 << 20;
constexpr std::int64_t kOpenTimeoutMs = 120'000;
constexpr std::size_t kMostWords = 600;

Error adopt_error(std::string_view what, std::string message, std::string hint) {
  if (message.size() > kMostWords) message.resize(kMostWords);
  return Error{ErrorKind::kUnprocessable, fmt::format("adopt-{}", what), std::move(message),
               std::move(hint)};
}

/// A list of any scalars, which a text, a number or a boolean may be.
template <class T>
void scalars(doc::Schema<T>& t, std::string key, std::vector<doc::Value> T::* member,
             std::string about) {
  t.custom(
       std::move(key), doc::Shape::kAny, std::move(about),
       [member](T& into, const doc::Value& value, doc::Reader&) {
         if (value.is_array()) into.*member = value.as_array();
       },
       [member](const T& from) -> std::optional<doc::Value> {
         if ((from.*member).empty()) return std::nullopt;
         return doc::Value(doc::Value::Array(from.*member));
       })
      .optional();
}

/// The words of the helper, or why there are none.
Error signature_failure(const doc::Value& result) {
  static constexpr std::string_view kKinds[] = {"format", "damaged", "raised", "package",
                                                "unsupported"};
  const std::string what = result.string_or("failed");
  const bool is_known = std::find(std::begin(kKinds), std::end(kKinds), what) != std::end(kKinds);
  return adopt_error(is_known ? what : "raised", result.string_or("message"),
                     result.string_or("hint"));
}

}  // namespace

const SignatureFeature* Signature::find(std::string_view name) const noexcept {
  const auto found = std::find_if(features.begin(), features.end(),
                                  [&](const auto& each) { return each.name == name; });
  return found == features.end() ? nullptr : &*found;
}

const doc::Schema<Signature>& signature_schema() {
  using S = Signature;
  static const auto feature = [] {
    auto t = doc::Schema<SignatureFeature>::record("a feature", "that a model reads");
    t.text("name", &SignatureFeature::name, "as the model has it").filled();
    t.text("type", &SignatureFeature::type,
           "`number`, `integer`, `boolean`, `string`, `timestamp` or `category`; empty: it does "
           "not say");
    scalars(t, "categories", &SignatureFeature::categories, "of `category`, in the model's order");
    return t;
  }();
  static const auto schema = [] {
    auto t = doc::Schema<S>::record("a signature", "what a model that is there says of itself");
    t.of_format("heddle.signature/1")
        .refused_as(ErrorKind::kUnprocessable, "adopt-raised",
                    "what the model holds must not write what the helper writes");
    t.text("kind", &S::kind, "the form of the file").filled();
    t.text("class", &S::of_class, "in its library").filled();
    t.text("library", &S::library, "with its version");
    t.objects("features", &S::features, feature, "in the model's order");
    t.boolean("named", &S::is_named, "false: the names are the library's own numbers");
    t.text("task", &S::task, "`binary`, `classes` or `regression`; empty: it does not say");
    scalars(t, "classes", &S::classes, "in the order of its answers");
    t.boolean("coded", &S::is_coded, "its classes are 0..K-1: what they stand for is not said")
        .optional();
    t.texts("said", &S::unsaid, "what it does not say");
    return t;
  }();
  return schema;
}

Result<Signature> signature_of(const spec::Exec& exec, const std::string& path,
                               const std::string& directory, const std::string& hidden) {
  HEDDLE_ASSIGN_OR_RETURN(const std::string files, own_files(exec));
  const auto job = doc::Value::object({{"format", "heddle.signature-job/1"}, {"model", path}});
  HEDDLE_ASSIGN_OR_RETURN(const std::string packed,
                          with_files(files, {{"job.json", doc::to_json(job)}}));
  runtime::Once once = in_sandbox(exec.python, kSignatureFile);
  once.place.command.emplace_back("job.json");
  once.place.files = packed;
  once.place.directory = directory;
  once.place.hidden = hidden;
  once.place.memory_bytes = exec.worker.memory_bytes;
  once.timeout_ms = kOpenTimeoutMs;
  Result<std::string> left = Error{ErrorKind::kNotFound, "once-output", "", ""};
  const auto end = runtime::run_once(
      once, [](std::string_view) {},
      [&](int scratch) -> Result<void> {
        left = runtime::read_below(scratch, "out/result.json", kMostSignature);
        return {};
      });
  if (!end.ok()) return without_python(exec.python, end.error());
  if (!left.ok()) {
    const std::string last = end->last_lines.empty() ? "" : ": " + end->last_lines.back();
    return adopt_error(
        "ended",
        end->timed_out
            ? fmt::format("opening `{}` had not ended after {} s", path, kOpenTimeoutMs / 1000)
            : fmt::format("opening `{}` ended its process ({}){}", path, end->how, last),
        "the environment needs numpy, and the library that wrote the model: try "
        "it by hand");
  }
  HEDDLE_ASSIGN_OR_RETURN(const doc::Value result, doc::parse_json(*left));
  if (result.find("failed") != nullptr) return signature_failure(result);
  return signature_schema().parse(result);
}

}  // namespace heddle::train
