#include "control/certificates.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "control/service_rows.hpp"
#include "control/stored_rows.hpp"
#include "doc/json.hpp"

namespace heddle::control {
namespace {

using Core = Control::Core;

const std::string kCertificate(plane::kCertificateAct);
const std::string kClientCa(plane::kClientCaAct);

/// Acts whose record may be read a second time, after a crash.
constexpr std::size_t kMostHeard = 32;

std::string key_of(const std::string& service) { return service + "/tls"; }

/// As it was last written; none: never.
Result<std::optional<TlsRow>> last_of(store::Txn& txn, const std::string& service) {
  HEDDLE_ASSIGN_OR_RETURN(const auto row, txn.get("control", key_of(service)));
  if (!row) return std::optional<TlsRow>();
  auto last = tls_row_schema().parse_text(*row);
  if (!last.ok()) return in_row("control", key_of(service), std::move(last.error()));
  return std::optional(*std::move(last));
}

/// What is other than before, in words; empty: nothing is.
std::string difference(const std::optional<TlsRow>& before, const TlsFiles& now) {
  const auto named = [](const std::string& digest) { return digest.empty() ? "none" : digest; };
  const TlsRow was = before.value_or(TlsRow{});
  std::string text;
  const auto compare = [&](const std::string& file, const std::string& then,
                           const std::string& digest) {
    if (then == digest) return;
    text += fmt::format("{}{} {}", text.empty() ? "" : "; ", file, named(digest));
    if (before) text += fmt::format(" (before: {})", named(then));
  };
  compare(kCertificate, was.certificate, now.certificate);
  compare(kClientCa, was.client_ca, now.client_ca);
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
  HEDDLE_ASSIGN_OR_RETURN(const auto last, last_of(txn, service));
  TlsRow row = last.value_or(TlsRow{});
  auto& heard = row.heard;
  // The journal is read again from its last place after a crash: the same act comes twice.
  if (std::find(heard.begin(), heard.end(), now.id) != heard.end()) return out;
  heard.push_back(now.id);
  if (heard.size() > kMostHeard) heard.erase(heard.begin());
  // A restart with the same files is heard, and makes no entry: entries are of changes.
  out.what = difference(last, now);
  out.changed = last.has_value();
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
    row.certificate = now.certificate;
    row.client_ca = now.client_ca;
    row.since = format_time(core.wiring.clock->wall());
    row.entry = out.entry;
  }
  HEDDLE_TRY(txn.put("control", key_of(service), doc::to_json(tls_row_schema().print(row))));
  return out;
}

}  // namespace

Result<void> record_certificates(Core& core, const std::string& service, ServiceControl& control) {
  for (const TlsFiles& told : control.told_tls_files()) {
    Recorded done;
    HEDDLE_TRY(core.state->write([&](store::Txn& txn) -> Result<void> {
      HEDDLE_ASSIGN_OR_RETURN(done, record(core, txn, service, told));
      // The first files of a service are recorded and no news for anybody.
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

Result<std::optional<TlsRow>> certificates_of(Core& core, const std::string& service) {
  std::optional<TlsRow> found;
  HEDDLE_TRY(core.state->read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(found, last_of(txn, service));
    return {};
  }));
  return found;
}

}  // namespace heddle::control
