#include "plane/route.hpp"

#include "base/encoding.hpp"
#include "base/file.hpp"
#include "doc/signed_text.hpp"
#include "plane/route_schema.hpp"

namespace heddle::plane {
namespace {

constexpr doc::JsonLimits kLimits{.max_depth = 8, .max_bytes = 1 << 20};

}  // namespace

std::string source_text(std::string_view account, std::string_view source) {
  return account.empty() ? fmt::format("`{}`", source)
                         : fmt::format("`{}` of account `{}`", source, account);
}

std::string draw_secret(const Ed25519Key& key, std::string_view service, std::uint64_t started) {
  const std::string_view seed(reinterpret_cast<const char*>(key.seed.data()), key.seed.size());
  const std::string run = fmt::format("heddle.canary-draw/1\n{}\n{}", service, started);
  return hmac_sha256(seed, run).substr(0, kDrawSecretBytes);
}

Result<void> write_route(const std::string& path, const RouteTable& table, const Ed25519Key& key) {
  return write_route_file(path, {table}, key);
}

Result<void> write_route_file(const std::string& path, const RouteFile& file,
                              const Ed25519Key& key) {
  const std::string payload = doc::to_canonical_json(route_file_schema().print(file));
  return write_file_atomic(path, doc::sign_text(payload, key), 0600);
}

Result<RouteTable> read_route(const std::string& path, const Ed25519Public& key) {
  HEDDLE_ASSIGN_OR_RETURN(RouteFile file, read_route_file(path, key));
  return std::move(file.table);
}

Result<RouteFile> read_route_file(const std::string& path, const Ed25519Public& key) {
  if (!path_exists(path)) {
    return Error{ErrorKind::kNotFound, "route-missing",
                 fmt::format("there is no route table `{}` yet", path),
                 "release a bundle: `heddle run`, then `heddle release promote`"};
  }
  HEDDLE_ASSIGN_OR_RETURN(const std::string bytes, read_file(path));
  const auto payload = doc::open_signed_text(bytes, key);
  if (payload.ok()) return route_file_schema().parse_text(*payload, kLimits);
  if (payload.error().id == "envelope-unsigned") {
    return Error{ErrorKind::kCorrupt, "route-unsigned",
                 fmt::format("the route table `{}` is not signed by the control plane's key", path),
                 "somebody else wrote it, or the key changed: start the control plane again and "
                 "look into `heddle audit verify`"};
  }
  return Error{ErrorKind::kCorrupt, "route-corrupt",
               fmt::format("the route table `{}`: {}", path, payload.error().message),
               route_schema().error_hint};
}

}  // namespace heddle::plane
