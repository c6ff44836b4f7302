#include "model/file_kind.hpp"

#include "base/file_kind.hpp"

#include <algorithm>
#include <span>

namespace heddle::model {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kSaveModel =
    "write the model itself: `Booster.save_model(\"model.json\")` (XGBoost), "
    "`save_model(\"model.txt\")` "
    "(LightGBM), or convert it to ONNX";
constexpr std::string_view kUnpack = "unpack it, and give the model file that is inside";
constexpr std::string_view kFetch =
    "fetch the file itself: this is what a server said in its place";

/// Bytes at a place that tell a kind of file.
struct Mark {
  std::string_view bytes;
  std::string_view is;
  std::string_view hint;
  std::size_t at = 0;
};

constexpr Mark kMarks[] = {
    {"\x80\x02"sv, "a Python pickle", kSaveModel},
    {"\x80\x03"sv, "a Python pickle", kSaveModel},
    {"\x80\x04"sv, "a Python pickle", kSaveModel},
    {"\x80\x05"sv, "a Python pickle", kSaveModel},
    {"ccopy_reg\n"sv, "a Python pickle", kSaveModel},
    {"ccopyreg\n"sv, "a Python pickle", kSaveModel},
    {"(dp"sv, "a Python pickle", kSaveModel},
    {"(lp"sv, "a Python pickle", kSaveModel},
    {"cxgboost."sv, "a Python pickle", kSaveModel},
    {"clightgbm."sv, "a Python pickle", kSaveModel},
    {"csklearn."sv, "a Python pickle", kSaveModel},
    {"x\x01"sv, "zlib data, as joblib writes a compressed pickle", kSaveModel},
    {"x\x5e"sv, "zlib data, as joblib writes a compressed pickle", kSaveModel},
    {"x\x9c"sv, "zlib data, as joblib writes a compressed pickle", kSaveModel},
    {"x\xda"sv, "zlib data, as joblib writes a compressed pickle", kSaveModel},
    {"ZF0x"sv, "a compressed pickle of joblib", kSaveModel},
    {"]\0\0"sv, "LZMA data, as joblib writes a compressed pickle", kSaveModel},
    {"<?xml"sv, "XML (PMML is such), which is not read", kSaveModel},
    {"<PMML"sv, "PMML, which is not read", kSaveModel},
    {"binf"sv, "an XGBoost model in its old binary format, which says nothing of its version",
     "load it with the XGBoost that wrote it and save it again as `model.json`"},
    {"bs64"sv, "an XGBoost model in an old text format",
     "load it with the XGBoost that wrote it and save it again as `model.json`"},
    {"\0\0\0\x3f"sv, "an XGBoost model in its old binary format, which says nothing of its version",
     "load it with the XGBoost that wrote it and save it again as `model.json`"},
    {"CONFIG-offset:"sv, "a snapshot of a training session of XGBoost (`serialize`)", kSaveModel},
    {"booster["sv, "a text dump of XGBoost, which leaves out base score and objective", kSaveModel},
    {"0:["sv, "a text dump of XGBoost, which leaves out base score and objective", kSaveModel},
    {"0:leaf="sv, "a text dump of XGBoost, which leaves out base score and objective", kSaveModel},
    {"digraph"sv, "a graph of trees for Graphviz", kSaveModel},
    {"CBM1"sv, "a CatBoost model in its own format, which is not read",
     "save it with `save_model(\"model.onnx\", format=\"onnx\")`"},
    {"#include"sv, "source code, as CatBoost exports it", kSaveModel},
    {"###  Model data"sv, "source code, as CatBoost exports it", kSaveModel},
    {"______LightGBM_Binary_File_Token______"sv,
     "a data set of LightGBM (`save_binary`): data, no model", kSaveModel},
    {"\x03\0\0\0"sv, "a checkpoint of treelite, which is not read", kSaveModel},
    {"\x04\0\0\0"sv, "a checkpoint of treelite, which is not read", kSaveModel},
    {"artifact_path:"sv, "MLflow's `MLmodel`, which says what a model is and does not hold it",
     "give the model file that stands beside it"},
    {"\x93NUMPY"sv, "an array of numpy", kSaveModel},
    {"PAR1"sv, "a Parquet file: data, no model", kSaveModel},
    {"GGUF"sv, "a language model in GGUF, which is not read", kSaveModel},
    {"\x7f"
     "ELF"sv,
     "a program or library", kSaveModel},
    {"\xef\xbb\xbf"sv, "text with a byte order mark, which no training library writes",
     "save the file without the mark"},
};

/// JSON and text that are no model, told by what only they hold near their beginning.
constexpr Mark kTexts[] = {
    {"\"nodeid\""sv, "a JSON dump of XGBoost, which leaves out base score and objective",
     kSaveModel},
    {"\"oblivious_trees\""sv, "a CatBoost model in JSON, which is not read",
     "save it with `save_model(\"model.onnx\", format=\"onnx\")`"},
    {"\"features_info\""sv, "a CatBoost model in JSON, which is not read",
     "save it with `save_model(\"model.onnx\", format=\"onnx\")`"},
    {"\"leaf_vector_shape\""sv, "a treelite model in JSON, which is not read", kSaveModel},
    {"\"max_feature_idx\""sv, "a JSON dump of LightGBM (`dump_model`)",
     "write it with `save_model(\"model.txt\")`"},
};

Error is_no_model(std::string_view is, std::string_view hint) {
  return Error{ErrorKind::kInvalid, "model-format", fmt::format("the file is {}", is),
               std::string(hint)};
}

/// What stands in the place of a model and of any other file.
Error is_other(const FileKind& kind) {
  using Family = FileKind::Family;
  const std::string is(kind.is);
  switch (kind.family) {
    case Family::kCompressed:
    case Family::kArchive: return is_no_model(is, kUnpack);
    case Family::kZip:
      return is_no_model(is + " (PyTorch, skops and numpy's npz are such, too)", kUnpack);
    case Family::kLfsPointer:
      return is_no_model(is + ": the model is not here", "run `git lfs pull`");
    case Family::kWebPage: return is_no_model(is, kFetch);
    case Family::kUtf16:
      return is_no_model(is + ", which no training library writes",
                         "save the file as the training library wrote it, or as UTF-8");
    case Family::kArrow: return is_no_model(is + ": data, no model", kSaveModel);
    case Family::kHdf5: break;
  }
  return is_no_model(is + " (Keras writes such), which is not read", kSaveModel);
}

/// safetensors: the length of a JSON header, little-endian, then that header.
bool is_safetensors(std::string_view bytes) {
  if (bytes.size() < 10 || bytes[8] != '{') return false;
  std::uint64_t length = 0;
  for (std::size_t i = 8; i-- > 0;) length = length << 8 | static_cast<unsigned char>(bytes[i]);
  // A length past the end of the file means that the first bytes are no length.
  return length >= 2 && length <= bytes.size() - 8;
}

std::optional<Error> named_json(std::string_view bytes) {
  constexpr std::size_t kSearched = 4096;
  const auto holds = [](std::string_view text, std::string_view key) {
    return text.find(key) != std::string_view::npos;
  };
  const std::string_view head = bytes.substr(0, kSearched);
  // `serialize` writes an object of `Config` and `Model`, in UBJSON or JSON.
  if (holds(bytes.substr(0, 24), "Config")) {
    return is_no_model("a snapshot of a training session of XGBoost (`serialize`)", kSaveModel);
  }
  if (holds(bytes, "\"learner\"")) {
    // A model and a configuration share the outer object; the trees tell them apart.
    const bool config = holds(bytes, "\"learner_train_param\"") && !holds(bytes, "\"trees\"");
    if (!config) return std::nullopt;
    return is_no_model("a configuration of XGBoost (`save_config`), which has no trees",
                       kSaveModel);
  }
  for (const Mark& text : kTexts) {
    if (holds(head, text.bytes)) return is_no_model(text.is, text.hint);
  }
  return std::nullopt;
}

}  // namespace

std::string shown(std::string_view text) {
  std::string out(text.substr(0, 40));
  std::replace_if(out.begin(), out.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return out;
}

namespace {

/// Marks of markup may follow blanks; the others have their place.
bool has_mark(std::string_view bytes, const Mark& mark, std::size_t first) {
  const std::size_t at = mark.bytes.starts_with('<') ? first : mark.at;
  return bytes.size() >= at && bytes.substr(at).starts_with(mark.bytes);
}

}  // namespace

std::optional<Error> not_a_model(std::string_view bytes) {
  if (bytes.empty()) return is_no_model("empty", "write or fetch the model again");
  const auto first = bytes.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos)
    return is_no_model("blank", "write or fetch the model again");
  for (const Mark& mark : kMarks) {
    if (has_mark(bytes, mark, first)) return is_no_model(mark.is, mark.hint);
  }
  if (const auto other = file_kind(bytes.substr(0, 512))) return is_other(*other);
  if (is_safetensors(bytes)) return is_no_model("tensors (safetensors), no trees", kSaveModel);
  // XGBoost's UBJSON begins with a brace too, and with bytes that JSON does not have.
  if (bytes[first] == '[' || bytes[first] == '{') return named_json(bytes);
  return std::nullopt;
}

}  // namespace heddle::model
