#include "bundle/parity.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace heddle::bundle {

bool ParityCertificate::holds() const noexcept {
  // A certificate over no rows or no paths would hold of anything.
  return rows > 0 && answered > 0 && !paths.empty() &&
         std::all_of(paths.begin(), paths.end(), [&](const ParityPath& path) {
           return path.rows > 0 && path.largest <= tolerance;
         });
}

std::string ParityCertificate::in_words() const {
  std::vector<std::string> names;
  bool is_equal = true;
  double largest = 0;
  for (const auto& path : paths) {
    names.push_back(path.name);
    is_equal = is_equal && path.equal == path.rows;
    largest = std::max(largest, path.largest);
  }
  return fmt::format("{} on {} rows by {} ({})",
                     is_equal ? std::string("equal bit for bit")
                              : fmt::format("within {:.2g} of {}", largest, library),
                     rows, fmt::join(names, ", "), library);
}

const doc::Schema<ParityCertificate>& parity_schema() {
  using C = ParityCertificate;
  static const auto path = [] {
    auto t = doc::Schema<ParityPath>::record("a path", "by which rows reach the model");
    t.text("name", &ParityPath::name,
           "`csv` and `parquet`: files as `heddle score` reads them; `request`: one row a request; "
           "`batch`: many at once; `zones`: one row a request, its times written two hours east")
        .one_of({"csv", "parquet", "request", "batch", "zones"});
    t.integer("rows", &ParityPath::rows, "that it brought");
    t.integer("equal", &ParityPath::equal, "whose answers are the same floats");
    t.number("largest_difference", &ParityPath::largest, "as `tolerance` is meant");
    return t;
  }();
  static const auto probe = [] {
    auto t = doc::Schema<ParityProbe>::record("a probe", "rows made from those of the sample");
    t.text("what", &ParityProbe::what, "was changed").filled();
    t.integer("rows", &ParityProbe::rows, "that were made");
    t.integer("refused", &ParityProbe::refused, "by the contract");
    t.integer("unanswered", &ParityProbe::unanswered, "by the library, and so by the service");
    return t;
  }();
  static const auto schema = [] {
    auto t = doc::Schema<C>::record("`parity.json`", "a certificate of parity");
    t.of_format("heddle.parity/1")
        .refused_as(ErrorKind::kCorrupt, "parity-broken",
                    "make the bundle again with `heddle run`");
    t.digest(
         "subject", &C::subject,
         "SHA-256 of `model.json`; of a worker, of the digests of `runtime.json` and its files, "
         "one after the other")
        .filled();
    t.text("library", &C::library, "that answered first, with its version");
    t.text("model_format", &C::format, "of the model's file").filled();
    t.text("scored_by", &C::scored_by, "what answers in the bundle").one_of({"engine", "worker"});
    t.integer("rows", &C::rows, "of the sample, and made from it");
    t.integer("answered", &C::answered, "by the library");
    t.number("tolerance", &C::tolerance,
             "in probability; of a regression a share of the value, or of 1 where that is larger");
    t.objects("paths", &C::paths, path, "each held against the library");
    t.objects("probes", &C::probes, probe, "rows that the sample does not have");
    return t;
  }();
  return schema;
}

Digest subject_of(std::string_view model, std::string_view runtime, std::string_view files) {
  if (runtime.empty()) return sha256(model);
  return sha256(sha256(runtime).str() + sha256(files).str());
}

bool is_adopted(const Bundle& bundle) {
  // Only a model that was there before is certified: the trainer's record says `adopted`.
  if (!bundle.has(kTrainer)) return false;
  const auto trainer = bundle.json(kTrainer);
  return trainer.ok() && trainer->find("adopted") != nullptr;
}

Result<void> check_parity(const Bundle& bundle) {
  if (!is_adopted(bundle)) return {};
  const auto layer = [&](std::string_view title) {
    const auto bytes = bundle.layer(title);
    return bytes.ok() ? *bytes : std::string_view();
  };
  if (!bundle.has(kParity)) {
    return Error{ErrorKind::kCorrupt, "parity-missing",
                 fmt::format("the model of bundle {} was there before it, and no certificate says "
                             "that it answers as its library does",
                             bundle.digest().short_str()),
                 "make the bundle with `heddle run`, which certifies it"};
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto certificate, parity_schema().parse_text(layer(kParity)));
  // The bytes and not the certificate's word: one that
  // was copied from another bundle says nothing of this.
  if (certificate.subject != subject_of(layer(kModel), layer(kRuntime), layer(kRuntimeFiles))) {
    return Error{ErrorKind::kCorrupt, "parity-other",
                 fmt::format("the certificate of parity of bundle {} is of another model",
                             bundle.digest().short_str()),
                 "make the bundle with `heddle run`, which certifies it"};
  }
  if (certificate.holds()) return {};
  return Error{ErrorKind::kCorrupt, "parity-broken",
               fmt::format("the certificate of parity of bundle {} does not hold: {}",
                           bundle.digest().short_str(), certificate.in_words()),
               "make the bundle with `heddle run`, which certifies it"};
}

}  // namespace heddle::bundle
