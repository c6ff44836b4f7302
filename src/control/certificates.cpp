#include "control/certificates.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "doc/json.hpp"

namespace heddle::control {
namespace {

using Core = Control::Core;

const std::string kCertificate(plane::kCertificateAct);
const std::string kClientCa(plane::kClientCaAct);

/// Acts whose record may be read a second time, after a crash.
constexpr std::size_t kMostHeard = 32;

std::string key_of(const std::string& service) { return service + "/tls"; }

/// As it was last written; null: never.
Result<doc::Value> last_of(store::Txn& txn, const std::string& service) {
  HEDDLE_ASSIGN_OR_RETURN(const auto row, txn.get("control", key_of(service)));
  if (!row) return doc::Value();
  return doc::parse_json(*row);
}

/// What is other than before, in words; empty: nothing is.
std::string difference(const doc::Value& before, const TlsFiles& now) {
  const auto named = [](const std::string& digest) { return digest.empty() ? "none" : digest; };
  std::string text;
  for (const auto& [file, digest] :
       {std::pair(kCertificate, now.certificate), std::pair(kClientCa, now.client_ca)}) {
    const auto was = before.is_object() ? before.string_or(file) : std::string();
    if (was == digest) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : "; ", file, named(digest));
    if (before.is_object()) text += fmt::format(" (before: {})", named(was));
  }
  return text;
}

/// What came of one telling: the entry, and whether there were others before.
struct Recorded {
  std::uint64_t entry = 0;
  bool changed = false;
  std::string what{};  ///< empty: nothing is new
};

Result<Recorded> record(Core& core, store::Txn& txn, const std::string& service,
                        const TlsFiles& now) {
  Recorded out;
  HEDDLE_ASSIGN_OR_RETURN(const doc::Value last, last_of(txn, service));
  std::vector<doc::Value> heard;
  if (last.is_object()) heard = last.find("heard")->as_array();
  if (std::find(heard.begin(), heard.end(), doc::Value(now.id)) != heard.end()) return out;
  heard.emplace_back(now.id);
  if (heard.size() > kMostHeard) heard.erase(heard.begin());
  out.what = difference(last, now);
  out.changed = last.is_object();
  auto row = last.is_object() ? last : doc::Value::object();
  if (!out.what.empty()) {
    ledger::Entry entry;
    entry.op_id = fmt::format("{}/tls.files/{}", service, now.id);
    entry.actor = "system:data-plane";
    entry.action = "tls.files";
    entry.target = "service/" + service;
    entry.attributes =
        doc::Value::object({{kCertificate, now.certificate}, {kClientCa, now.client_ca}});
    entry.result = "recorded";
    entry.reason = "the data plane shows and trusts by TLS: " + out.what;
    HEDDLE_ASSIGN_OR_RETURN(out.entry, core.ledger->append(txn, std::move(entry)));
    row.set(kCertificate, now.certificate);
    row.set(kClientCa, now.client_ca);
    row.set("since", format_time(core.wiring.clock->wall()));
    row.set("entry", out.entry);
  }
  auto ids = doc::Value::array();
  for (auto& id : heard) ids.push(std::move(id));
  row.set("heard", std::move(ids));
  HEDDLE_TRY(txn.put("control", key_of(service), doc::to_json(row)));
  return out;
}

}  // namespace

Result<void> record_certificates(Core& core, const std::string& service, ServiceControl& control) {
  for (const TlsFiles& told : control.told_tls_files()) {
    Recorded done;
    HEDDLE_TRY(core.state->write([&](store::Txn& txn) -> Result<void> {
      HEDDLE_ASSIGN_OR_RETURN(done, record(core, txn, service, told));
      if (done.what.empty() || !done.changed) return {};
      return core.outbox->put(
          txn, fmt::format("tls/{}/{}", service, told.id),
          doc::Value::object({{"kind", "tls-files"},
                              {"service", service},
                              {"text", "its TLS files are others: " + done.what},
                              {"next", "heddle audit log"}}));
    }));
    if (done.what.empty() || !done.changed) continue;
    log::warn("service `{}`: its TLS files are others: {} (ledger entry {})", service, done.what,
              done.entry);
    core.outbox->wake();
  }
  return {};
}

Result<doc::Value> certificates_of(Core& core, const std::string& service) {
  doc::Value found;
  HEDDLE_TRY(core.state->read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(const doc::Value last, last_of(txn, service));
    if (!last.is_object()) return {};
    found = doc::Value::object({{kCertificate, last.string_or(kCertificate)},
                                {kClientCa, last.string_or(kClientCa)},
                                {"since", last.string_or("since")},
                                {"entry", last.int_or("entry")}});
    return {};
  }));
  return found;
}

}  // namespace heddle::control
