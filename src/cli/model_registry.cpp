#include "cli/model_registry.hpp"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include <fmt/format.h>

#include "base/file.hpp"
#include "doc/items.hpp"
#include "doc/json.hpp"
#include "net/client.hpp"

namespace heddle::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMlflowApi = "/api/2.0/mlflow/";
constexpr const char* kMlflowArtifacts = "/api/2.0/mlflow-artifacts/artifacts";
constexpr const char* kModelScheme = "models:/";
constexpr std::size_t kMostArtifacts = 1000;
constexpr int kMostArtifactDepth = 8;

/// A text as one part of an address.
std::string in_address(std::string_view text) {
  std::string out;
  for (const char raw : text) {
    const auto c = static_cast<unsigned char>(raw);
    const bool is_plain =
        c < 0x80 && (std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == '~');
    out += is_plain ? std::string(1, raw) : fmt::format("%{:02X}", c);
  }
  return out;
}

/// A model of a registry as a person names it.
struct RegistryName {
  std::string name{};
  std::string alias{};    ///< one of the two
  std::string version{};  ///< a number, or `latest`
};

Result<RegistryName> read_model_uri(const std::string& uri) {
  RegistryName out;
  const std::string rest = uri.substr(std::string_view(kModelScheme).size());
  const auto at = rest.find('@');
  const auto slash = rest.find('/');
  if (at != std::string::npos) {
    out.name = rest.substr(0, at);
    out.alias = rest.substr(at + 1);
  } else if (slash != std::string::npos) {
    out.name = rest.substr(0, slash);
    out.version = rest.substr(slash + 1);
  }
  const bool is_number =
      !out.version.empty() && out.version.find_first_not_of("0123456789") == std::string::npos;
  const bool is_good =
      !out.name.empty() && (!out.alias.empty() || is_number || out.version == "latest");
  if (is_good) return out;
  return Error{ErrorKind::kInvalid, "adopt-uri", fmt::format("`{}` names no model version", uri),
               "write `models:/NAME@ALIAS` or `models:/NAME/VERSION`"};
}

/// The calls of MLflow's server that a download takes.
class TrackingServer {
 public:
  static Result<TrackingServer> open(const std::string& tracking) {
    const char* const set = std::getenv("MLFLOW_TRACKING_URI");
    const std::string url = !tracking.empty() ? tracking : set == nullptr ? "" : set;
    if (url.empty()) {
      return Error{ErrorKind::kInvalid, "adopt-tracking",
                   "a model of a registry was named, and no tracking server",
                   "name it with `--tracking http://host:port`, or set MLFLOW_TRACKING_URI"};
    }
    const auto parts = net::parse_url(url);
    if (!parts.ok()) {
      return Error{
          ErrorKind::kInvalid, "adopt-tracking",
          fmt::format("`{}` is no address of a tracking server: {}", url, parts.error().message),
          "write `http://host:port`"};
    }
    net::HttpClient::Options options;
    options.host = parts->host;
    options.port = parts->port;
    if (parts->tls) options.tls.emplace();
    options.max_response = std::size_t{512} << 20;
    options.timeout_ms = 60'000;
    if (const char* const token = std::getenv("MLFLOW_TRACKING_TOKEN")) options.token = token;
    // A server behind a proxy may stand below a path.
    std::string prefix = parts->target;
    while (!prefix.empty() && prefix.back() == '/') prefix.pop_back();
    return TrackingServer(url, std::move(prefix), net::HttpClient(std::move(options)));
  }

  Result<doc::Value> ask(const std::string& path, const std::string& what) {
    HEDDLE_ASSIGN_OR_RETURN(const std::string body, get(path, what));
    auto value = doc::parse_json(body);
    if (value.ok()) return value;
    return Error{ErrorKind::kUnavailable, "adopt-registry",
                 fmt::format("`{}` does not answer as a tracking server does", url_),
                 "check the address of `--tracking`"};
  }

  Result<std::string> get(const std::string& path, const std::string& what) {
    auto reply = client_.get(prefix_ + path);
    if (!reply.ok()) {
      return Error{
          reply.error().kind, "adopt-registry",
          fmt::format("the tracking server `{}` does not answer: {}", url_, reply.error().message),
          "check that it runs, and the address of `--tracking`"};
    }
    if (reply->status == 200) return std::move(reply->body);
    const auto told = doc::parse_json(reply->body);
    const std::string words = told.ok() ? told->string_or("message") : std::string();
    const bool is_denied = reply->status == 401 || reply->status == 403;
    return Error{
        is_denied ? ErrorKind::kUnauthenticated : ErrorKind::kNotFound, "adopt-registry-unknown",
        fmt::format("the tracking server `{}` has no {}: status {}{}{}", url_, what, reply->status,
                    words.empty() ? "" : ": ", words),
        is_denied ? "set MLFLOW_TRACKING_TOKEN" : "check the name, and its alias or version"};
  }

  [[nodiscard]] const std::string& url() const noexcept { return url_; }

 private:
  TrackingServer(std::string url, std::string prefix, net::HttpClient client)
      : url_(std::move(url)), prefix_(std::move(prefix)), client_(std::move(client)) {}

  std::string url_;
  std::string prefix_;
  net::HttpClient client_;
};

/// A folder that is removed with the last of what was downloaded.
std::shared_ptr<const fs::path> model_folder() {
  std::error_code failed;
  std::string path = (fs::temp_directory_path(failed) / "heddle-model-XXXXXX").string();
  if (::mkdtemp(path.data()) == nullptr) return nullptr;
  return {new fs::path(path), [](const fs::path* folder) {
            std::error_code ignored;
            fs::remove_all(*folder, ignored);
            delete folder;
          }};
}

/// Files below `path` of the artifact store, into `to`.
Result<void> copy_artifacts(TrackingServer& registry, const std::string& path, const fs::path& to,
                            std::size_t& count, int depth) {
  HEDDLE_ASSIGN_OR_RETURN(
      const auto listed, registry.ask(fmt::format("{}?path={}", kMlflowArtifacts, in_address(path)),
                                      fmt::format("artifacts `{}`", path)));
  HEDDLE_TRY(make_dirs(to.string()));
  for (const auto& each : doc::items_of(listed.find("files"))) {
    // The server's word does not say where on this disk a file goes: only its last part is taken.
    const std::string name = fs::path(each.string_or("path")).filename().string();
    if (name.empty() || name == "." || name == "..") continue;
    if (++count > kMostArtifacts || depth > kMostArtifactDepth) {
      return Error{ErrorKind::kTooLarge, "adopt-too-large",
                   fmt::format("the model has more than {} files", kMostArtifacts),
                   "log the model by itself"};
    }
    const std::string below = path + "/" + name;
    const doc::Value* const is_dir = each.find("is_dir");
    if (is_dir != nullptr && is_dir->is_bool() && is_dir->as_bool()) {
      HEDDLE_TRY(copy_artifacts(registry, below, to / name, count, depth + 1));
      continue;
    }
    std::string target = kMlflowArtifacts;
    for (const auto& part : fs::path(below)) target += "/" + in_address(part.string());
    HEDDLE_ASSIGN_OR_RETURN(const auto bytes,
                            registry.get(target, fmt::format("artifact `{}`", below)));
    HEDDLE_TRY(write_file_atomic((to / name).string(), bytes));
  }
  return {};
}

Result<std::string> registered_version(TrackingServer& registry, const RegistryName& named) {
  if (!named.version.empty() && named.version != "latest") return named.version;
  const std::string name = in_address(named.name);
  if (!named.alias.empty()) {
    HEDDLE_ASSIGN_OR_RETURN(
        const auto found,
        registry.ask(fmt::format("{}registered-models/alias?name={}&alias={}", kMlflowApi, name,
                                 in_address(named.alias)),
                     fmt::format("alias `{}` of the model `{}`", named.alias, named.name)));
    const doc::Value* const version = found.find("model_version");
    return version == nullptr ? std::string() : version->string_or("version");
  }
  HEDDLE_ASSIGN_OR_RETURN(
      const auto found,
      registry.ask(fmt::format("{}registered-models/get?name={}", kMlflowApi, name),
                   fmt::format("model `{}`", named.name)));
  std::int64_t newest = 0;
  const doc::Value* const model = found.find("registered_model");
  // One of each stage, in no order to rely on.
  for (const auto& each :
       doc::items_of(model == nullptr ? nullptr : model->find("latest_versions")))
    newest = std::max<std::int64_t>(newest, std::atoll(each.string_or("version").c_str()));
  return newest == 0 ? std::string() : fmt::to_string(newest);
}

}  // namespace

Result<Downloaded> download_model(const std::string& uri, const std::string& tracking) {
  HEDDLE_ASSIGN_OR_RETURN(const RegistryName named, read_model_uri(uri));
  HEDDLE_ASSIGN_OR_RETURN(auto registry, TrackingServer::open(tracking));
  HEDDLE_ASSIGN_OR_RETURN(const std::string version, registered_version(registry, named));
  if (version.empty()) {
    return Error{ErrorKind::kNotFound, "adopt-registry-unknown",
                 fmt::format("`{}` has no version at `{}`", uri, registry.url()),
                 "register one, or name another"};
  }
  HEDDLE_ASSIGN_OR_RETURN(
      const auto where,
      registry.ask(fmt::format("{}model-versions/get-download-uri?name={}&version={}", kMlflowApi,
                               in_address(named.name), in_address(version)),
                   fmt::format("version {} of the model `{}`", version, named.name)));
  const std::string stored = where.string_or("artifact_uri");
  auto folder = model_folder();
  if (folder == nullptr)
    return Error{ErrorKind::kIo, "adopt-store", "cannot make a temporary folder",
                 "check the temporary folder's disk and its permissions"};
  const std::string origin =
      fmt::format("version {} of `{}` at {}", version, named.name, registry.url());
  constexpr std::string_view kServed = "mlflow-artifacts:/";
  if (stored.starts_with(kServed)) {
    // `mlflow-artifacts:/1/models/m-1/artifacts`, or with the server's address before the path.
    std::string path = stored.substr(kServed.size());
    if (path.starts_with("/")) path = path.substr(std::min(path.size(), path.find('/', 1)));
    while (path.starts_with("/")) path.erase(0, 1);
    std::size_t count = 0;
    HEDDLE_TRY(copy_artifacts(registry, path, *folder, count, 0));
    return Downloaded(std::move(folder), origin);
  }
  const std::string local = stored.starts_with("file://") ? stored.substr(7) : stored;
  // A store on this machine is read where it is, and not removed afterwards.
  if (local.starts_with("/") && path_exists(local))
    return Downloaded(std::make_shared<const fs::path>(local), origin);
  return Error{ErrorKind::kUnprocessable, "adopt-store",
               fmt::format("{} is kept in `{}`, which is not read", origin, stored),
               "download it (`mlflow artifacts download`) and name the folder"};
}

}  // namespace heddle::cli
