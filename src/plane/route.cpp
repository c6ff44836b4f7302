#include "plane/route.hpp"

#include <algorithm>

#include "base/encoding.hpp"
#include "base/file.hpp"
#include "doc/json.hpp"
#include "plane/route_file.hpp"

namespace heddle::plane {
namespace {

constexpr std::string_view kFormat = "heddle.route/1";

Error corrupt(std::string_view what) {
  return Error{ErrorKind::kCorrupt, "route-corrupt", fmt::format("the route table {}", what),
               "the control plane writes a new one when it starts: `heddle up`"};
}

Result<Digest> digest_of(const doc::Value& value, std::string_view key) {
  const std::string text = value.string_or(key);
  if (text.empty()) return Digest{};
  return Digest::parse(text);
}

}  // namespace

std::string source_text(std::string_view account, std::string_view source) {
  return account.empty() ? fmt::format("`{}`", source)
                         : fmt::format("`{}` of account `{}`", source, account);
}

doc::Value to_value(const RouteTable& table) {
  doc::Value quarantined = doc::Value::array();
  for (const QuarantinedSource& source : table.quarantined) {
    quarantined.push(doc::Value::object({{"source", source.source},
                                         {"account", source.account},
                                         {"rule", source.rule},
                                         {"readmit_after", source.readmit_after}}));
  }
  doc::Value acknowledged = doc::Value::array();
  for (const std::string& id : table.acknowledged) acknowledged.push(id);
  return doc::Value::object(
      {{"format", kFormat},
       {"version", table.version},
       {"service", table.service},
       {"primary", table.primary.empty() ? std::string() : table.primary.str()},
       {"standby", table.standby.empty() ? std::string() : table.standby.str()},
       {"canary",
        doc::Value::object(
            {{"bundle", table.canary.bundle.empty() ? std::string() : table.canary.bundle.str()},
             {"weight", table.canary.weight},
             {"sticky", table.canary.sticky},
             {"header", table.canary.header},
             {"header_value", table.canary.header_value}})},
       {"shadow", table.shadow.empty() ? std::string() : table.shadow.str()},
       {"fail_over_allowed", table.fail_over_allowed},
       {"fail_over", doc::Value::object({{"requests", table.fail_over.requests},
                                         {"failed_share", table.fail_over.failed_share},
                                         {"refused_share", table.fail_over.refused_share},
                                         {"most", table.fail_over.most}})},
       {"quarantined", std::move(quarantined)},
       {"stopped", table.stopped},
       {"acknowledged", std::move(acknowledged)},
       {"decision", table.decision}});
}

Result<RouteTable> route_from_value(const doc::Value& value) {
  if (!value.is_object() || value.string_or("format") != kFormat)
    return corrupt("is not of format `heddle.route/1`");
  RouteTable table;
  const doc::Value* version = value.find("version");
  if (version == nullptr || !version->is_int() || version->as_int() < 0)
    return corrupt("has no version");
  table.version = static_cast<std::uint64_t>(version->as_int());
  table.service = value.string_or("service");
  if (table.service.empty()) return corrupt("names no service");
  HEDDLE_ASSIGN_OR_RETURN(table.primary, digest_of(value, "primary"));
  HEDDLE_ASSIGN_OR_RETURN(table.standby, digest_of(value, "standby"));
  HEDDLE_ASSIGN_OR_RETURN(table.shadow, digest_of(value, "shadow"));
  if (const doc::Value* canary = value.find("canary"); canary != nullptr) {
    HEDDLE_ASSIGN_OR_RETURN(table.canary.bundle, digest_of(*canary, "bundle"));
    const std::int64_t weight = canary->int_or("weight", -1);
    if (weight < 0 || weight > kMostCanaryWeight)
      return corrupt("has a canary of an impossible weight");
    table.canary.weight = static_cast<std::uint32_t>(weight);
    table.canary.sticky = canary->string_or("sticky");
    table.canary.header = canary->string_or("header");
    table.canary.header_value = canary->string_or("header_value");
  }
  if (const doc::Value* rule = value.find("fail_over"); rule != nullptr) {
    const std::int64_t requests = rule->int_or("requests", -1);
    const std::int64_t most = rule->int_or("most", -1);
    table.fail_over.failed_share = rule->double_or("failed_share", -1);
    table.fail_over.refused_share = rule->double_or("refused_share", -1);
    const auto share = [](double s) { return s >= 0 && s <= 1; };
    if (requests < 1 || requests > 1'000'000 || most < 0 || most > 1000 ||
        !share(table.fail_over.failed_share) || !share(table.fail_over.refused_share)) {
      return corrupt("has a malformed `fail_over`");
    }
    table.fail_over.requests = static_cast<std::uint32_t>(requests);
    table.fail_over.most = static_cast<std::uint32_t>(most);
  }
  for (const char* key : {"fail_over_allowed", "stopped"}) {
    const doc::Value* flag = value.find(key);
    if (flag == nullptr || !flag->is_bool()) return corrupt(fmt::format("has no `{}`", key));
  }
  table.fail_over_allowed = value.bool_or("fail_over_allowed");
  table.stopped = value.bool_or("stopped");
  table.decision = value.string_or("decision");
  const doc::Value* quarantined = value.find("quarantined");
  const doc::Value* acknowledged = value.find("acknowledged");
  if (quarantined == nullptr || !quarantined->is_array() || acknowledged == nullptr ||
      !acknowledged->is_array()) {
    return corrupt("lacks `quarantined` or `acknowledged`");
  }
  for (const doc::Value& item : quarantined->as_array()) {
    const std::int64_t after = item.int_or("readmit_after", -1);
    if (item.string_or("source").empty() || after < 0 || after > UINT32_MAX)
      return corrupt("has a malformed quarantine");
    table.quarantined.push_back({item.string_or("source"), item.string_or("rule"),
                                 static_cast<std::uint32_t>(after), item.string_or("account")});
  }
  for (const doc::Value& item : acknowledged->as_array()) {
    if (!item.is_string()) return corrupt("has a malformed acknowledgement");
    table.acknowledged.push_back(item.as_string());
  }
  return table;
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
  doc::Value value = to_value(file.table);
  if (!file.draw_secret.empty()) value.set("draw_secret", hex_encode(file.draw_secret));
  const std::string payload = doc::to_canonical_json(value);
  const doc::Value envelope = doc::Value::object(
      {{"payload", base64_encode(payload)}, {"signature", base64_encode(key.sign(payload))}});
  return write_file_atomic(path, doc::to_json(envelope) + "\n", 0600);
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
  const auto envelope = doc::parse_json(bytes, {.max_depth = 4, .max_bytes = 1 << 20});
  if (!envelope.ok()) return corrupt("is no JSON");
  const auto payload = base64_decode(envelope->string_or("payload"));
  const auto signature = base64_decode(envelope->string_or("signature"));
  if (!payload.ok() || !signature.ok() || payload->empty())
    return corrupt("lacks a payload or a signature");
  if (!ed25519_verify(key, *payload, *signature)) {
    return Error{ErrorKind::kCorrupt, "route-unsigned",
                 fmt::format("the route table `{}` is not signed by the control plane's key", path),
                 "somebody else wrote it, or the key changed: start the control plane again and "
                 "look into `heddle audit verify`"};
  }
  const auto value = doc::parse_json(*payload, {.max_depth = 8, .max_bytes = 1 << 20});
  if (!value.ok()) return corrupt("is no JSON");
  RouteFile file;
  HEDDLE_ASSIGN_OR_RETURN(file.table, route_from_value(*value));
  const auto secret = hex_decode(value->string_or("draw_secret"));
  if (!secret.ok() || (!secret->empty() && secret->size() != kDrawSecretBytes))
    return corrupt("has a malformed `draw_secret`");
  file.draw_secret = *secret;
  return file;
}

}  // namespace heddle::plane
