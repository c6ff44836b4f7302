#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "base/signature.hpp"
#include "control/home.hpp"
#include "control/wiring.hpp"
#include "doc/schema.hpp"
#include "spec/load.hpp"
#include "store/store.hpp"

namespace heddle::control {

/// The action of the decision that makes a commit what runs.
inline constexpr std::string_view kApplyAction = "definition.apply";

/// What was applied last: a commit of the project's repository. What runs is read from its objects;
/// the work tree is not looked at (docs/adr/0019).
struct Applied {
  std::string commit;
  Digest definitions{};     ///< over every file that decides (`spec::Loaded::digest`)
  std::uint64_t entry = 0;  ///< of the ledger: the decision
};

/// As `applied.json` holds it (docs/formats/applied.md).
[[nodiscard]] const doc::Schema<Applied>& applied_schema();

/// Nullopt before the first apply.
[[nodiscard]] Result<std::optional<Applied>> applied_of(store::State& state);

/// Whether it is the newest decision about that in the ledger that made `applied` what runs
/// (nullopt: there is none). kCorrupt `applied-not-decided` when it is not: something else than a
/// decision changed the state. Reads the entries since that decision.
[[nodiscard]] Result<void> check_applied(store::State& state,
                                         const std::optional<Applied>& applied);

/// Tells the processes that do not open the state: keeps the commit under `refs/heddle/applied/`
/// and writes
/// `.heddle/applied.json`, signed (docs/formats/applied.md). Doing it again changes nothing.
[[nodiscard]] Result<void> publish_applied(const Home& home, store::Git& git, const Ed25519Key& key,
                                           const Applied& applied);

/// What `publish_applied` wrote, for the data plane and the command line. kNotFound
/// `nothing-applied` before the first apply; kCorrupt `applied-unsigned` when the control plane's
/// key did not sign it.
[[nodiscard]] Result<Applied> read_applied(const Home& home);

/// The definitions of an applied commit, whole and without errors: kUnprocessable `applied-invalid`
/// when this version refuses them, kNotFound `applied-missing` when the repository does not have
/// the commit.
[[nodiscard]] Result<spec::Loaded> load_applied(store::Git& git, const std::string& root,
                                                const std::string& commit);

/// The primary of each service that has one, by the route tables that the control plane signed: for
/// a process that does not open the state. kCorrupt when one is signed by somebody else.
[[nodiscard]] Result<std::map<std::string, Digest>> released_primaries(
    const Home& home, const spec::Project& project);

/// Both at once, for a process of its own: the project that runs.
[[nodiscard]] Result<spec::Project> applied_project(const Home& home, const Wiring& wiring);

}  // namespace heddle::control
