// A bundle in a store that anybody may write to: the bytes are parts, cut at 0x1E, of which the
// first is the manifest. In it `$1` is the digest of the next part and `#1` its size, so that a
// change leaves the digests right. The first byte says how many parts there are, and its highest
// bit that one of them lies damaged in the store: the second byte says which and where. What opens
// packs to the same again; its contract, features and model score rows or are refused, its runtime
// is understood or refused, and its files are unpacked into their folder and nowhere else.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <unistd.h>

#include "bundle/bundle.hpp"
#include "doc/json.hpp"
#include "runtime/spec.hpp"
#include "runtime/tar.hpp"
#include "score/plan.hpp"

using namespace heddle;  // NOLINT(google-build-using-namespace): one program
namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMostParts = 16;

void expect(bool holds) {
  if (!holds) std::abort();
}

/// Nothing is checked here: that is the reader's part.
class Memory final : public store::Objects {
 public:
  Result<Digest> put(std::string_view bytes) override {
    const Digest digest = sha256(bytes);
    blobs.insert_or_assign(digest, std::string(bytes));
    return digest;
  }
  Result<std::string> get(const Digest& digest) override {
    const auto found = blobs.find(digest);
    if (found == blobs.end())
      return Error{ErrorKind::kNotFound, "object-not-found", "no such object", "put it there"};
    given.insert(digest);
    return found->second;
  }
  bool has(const Digest& digest) override { return blobs.contains(digest); }
  Result<void> tag(std::string_view, const Digest&, std::string_view, std::uint64_t) override {
    return {};
  }
  Result<std::vector<std::pair<std::string, Digest>>> tags() override {
    return std::vector<std::pair<std::string, Digest>>{};
  }

  std::map<Digest, std::string> blobs;
  std::set<Digest> given;
};

void expect_explained(const Error& error) {
  expect(error.kind == ErrorKind::kCorrupt || error.kind == ErrorKind::kNotFound ||
         error.kind == ErrorKind::kInvalid || error.kind == ErrorKind::kTooLarge ||
         error.id == "bundle-version");
  expect(!error.id.empty() && !error.message.empty());
}

std::vector<std::string_view> split(std::string_view bytes, std::size_t most) {
  std::vector<std::string_view> parts;
  while (parts.size() + 1 < most && bytes.find('\x1e') != bytes.npos) {
    parts.push_back(bytes.substr(0, bytes.find('\x1e')));
    bytes.remove_prefix(parts.back().size() + 1);
  }
  parts.push_back(bytes);
  return parts;
}

std::string with_digests(std::string_view manifest, const std::vector<std::string_view>& parts) {
  std::string out;
  for (std::size_t i = 0; i < manifest.size(); ++i) {
    const char sign = manifest[i];
    const std::size_t part =
        i + 1 == manifest.size()
            ? 0
            : static_cast<std::size_t>(manifest[i + 1] >= 'a' ? manifest[i + 1] - 'a' + 10
                                                              : manifest[i + 1] - '0');
    if ((sign != '$' && sign != '#') || part < 1 || part >= parts.size()) {
      out += sign;
      continue;
    }
    out += sign == '$' ? sha256(parts[part]).str() : std::to_string(parts[part].size());
    ++i;
  }
  return out;
}

/// A folder of the process, gone with it.
struct Folder {
  Folder() { expect(::mkdtemp(path.data()) != nullptr); }
  ~Folder() { fs::remove_all(path); }
  std::string path = (fs::temp_directory_path() / "heddle-fuzz-XXXXXX").string();
};

void read_runtime(const bundle::Bundle& opened) {
  if (const auto value = opened.json(bundle::kRuntime); value.ok()) {
    const auto runtime = runtime::parse(*value);
    if (runtime.ok()) {
      const auto again = runtime::parse(runtime::to_value(*runtime));
      expect(again.ok() &&
             doc::to_json(runtime::to_value(*again)) == doc::to_json(runtime::to_value(*runtime)));
    } else {
      expect_explained(runtime.error());
    }
  }
  const auto files = opened.layer(bundle::kRuntimeFiles);
  if (!files.ok()) return;
  static const Folder parent;
  const std::string folder = parent.path + "/files";
  const auto unpacked = runtime::unpack(*files, folder, {.files = 100, .bytes = 1 << 16});
  expect(fs::exists(folder) == unpacked.ok());
  for (const auto& entry : fs::directory_iterator(parent.path)) expect(entry.path() == folder);
  if (!unpacked.ok()) return expect_explained(unpacked.error());
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const auto status = entry.symlink_status();
    expect(fs::is_regular_file(status) || fs::is_directory(status));
  }
  fs::remove_all(folder);
}

void score_some(const score::Plan& plan) {
  using expr::Datum;
  static const Datum values[] = {Datum::integer(100),
                                 Datum::string("2001-04-10T05:00:00Z"),
                                 Datum::string("ABQ"),
                                 Datum::null(),
                                 Datum::real(-0.5),
                                 Datum::boolean(true),
                                 Datum::real(1e300),
                                 Datum::integer(INT64_MIN),
                                 Datum::timestamp(986'083'200'000'000),
                                 Datum::string("")};
  score::Scratch scratch;
  score::RowResult result;
  std::vector<Datum> row(plan.contract().request_fields().size());
  std::vector<float> contributions(plan.contribution_names().size());
  for (std::size_t turn = 0; turn < std::size(values); ++turn) {
    for (std::size_t i = 0; i < row.size(); ++i)
      row[i] = values[(turn + i * 3) % std::size(values)];
    plan.score_row(std::span(row).first(turn == 9 ? row.size() / 2 : row.size()), result, scratch);
    expect(!result.check.refused || result.prediction.empty());
    for (const float probability : result.prediction) expect(probability >= 0 && probability <= 1);
    (void)plan.explain_row(row, contributions, scratch);
  }
}

void score_with(const bundle::Bundle& opened) {
  const auto contract = opened.json(bundle::kContract);
  const auto features = opened.json(bundle::kFeatures);
  if (contract.ok()) {
    if (const auto compiled = contract::Contract::from_value(*contract); compiled.ok()) {
      const auto again = contract::Contract::from_value(compiled->to_value());
      expect(again.ok() && doc::to_json(again->to_value()) == doc::to_json(compiled->to_value()));
    } else {
      expect_explained(compiled.error());
    }
  }
  if (features.ok()) {
    if (const auto program = feature::Program::from_value(*features); program.ok()) {
      const auto again = feature::Program::from_value(program->to_value());
      expect(again.ok() && doc::to_json(again->to_value()) == doc::to_json(program->to_value()));
    } else {
      expect_explained(program.error());
    }
  }
  // Never with a runtime: its command would be run.
  if (opened.has(bundle::kRuntime)) return;
  const auto plan = score::Plan::load(opened);
  if (plan.ok())
    score_some(**plan);
  else
    expect_explained(plan.error());
  const auto model = opened.layer(bundle::kModel);
  if (plan.ok() || !contract.ok() || !features.ok() || !model.ok()) return;
  // Without the reference's proof, which stops nearly every change above.
  const auto parts = score::Plan::from_parts(*contract, *features, *model, {}, {{0.125}, {}});
  if (parts.ok())
    score_some(**parts);
  else
    expect_explained(parts.error());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const auto parts =
      split({reinterpret_cast<const char*>(data) + 2, size - 2}, 1 + data[0] % kMostParts);
  Memory objects;
  std::vector<Digest> digests;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    digests.push_back(*objects.put(i == 0 ? with_digests(parts[0], parts) : std::string(parts[i])));
  }
  const Digest digest = digests[0];
  const Digest damaged = digests[data[1] % digests.size()];
  const bool damages = (data[0] & 0x80) != 0;
  if (damages) {
    std::string& bytes = objects.blobs[damaged];
    if (bytes.empty())
      bytes.assign(1, '\n');
    else
      bytes[data[1] / digests.size() % bytes.size()] ^= 1;
  }
  const auto opened = bundle::open(objects, digest);
  if (!opened.ok()) {
    expect_explained(opened.error());
    expect(!opened.error().hint.empty());
    return 0;
  }
  expect(!damages || !objects.given.contains(damaged));
  expect(opened->digest() == digest && bundle::complete(objects, digest));
  for (const auto& layer : opened->layers()) {
    const auto found = opened->layer(layer.title);
    expect(found.ok() && *found == layer.bytes);
  }
  Memory copy;
  const auto packed = bundle::pack(copy, opened->layers(), opened->config());
  expect(packed.ok());
  const auto again = bundle::open(copy, *packed);
  expect(again.ok() && again->layers().size() == opened->layers().size() &&
         doc::to_json(bundle::config_schema().print(again->config())) ==
             doc::to_json(bundle::config_schema().print(opened->config())));
  for (const auto& layer : opened->layers()) expect(*again->layer(layer.title) == layer.bytes);
  read_runtime(*opened);
  score_with(*opened);
  return 0;
}
