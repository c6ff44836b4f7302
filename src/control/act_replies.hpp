#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/comparison.hpp"
#include "doc/diagnostic.hpp"
#include "doc/schema.hpp"

namespace heddle::control {

// What operations answer that change something (control/replies.hpp has the others).

/// A command that helps.
struct NextItem {
  std::string command{};
  std::string why{};
  bool operator==(const NextItem&) const = default;
};
[[nodiscard]] const doc::Schema<NextItem>& next_schema();

/// What came of something that was asked for: it is done, or it waits for an approval.
struct Asked {
  bool applied = false;
  std::string bundle{};  ///< its digest; empty: it is about none, for example a resume
  std::string slot{};    ///< likewise
  std::uint64_t entry = 0;
  std::string approval{};  ///< empty: it waits for none
  std::string reason{};
  std::optional<std::vector<std::string>> drops_repairs{};
  std::optional<std::vector<std::string>> revives_repairs{};
};

/// The same, or of a release that the two bundles are compared first: one of the two is there.
struct AskedReply {
  std::optional<ComparisonProgress> comparing{};  ///< ask again
  std::optional<Asked> asked{};
  [[nodiscard]] static const doc::Schema<AskedReply>& schema();
};

/// What came of an act by hand. Done: what it was about; waiting: `approval` and `reason`.
struct ByHandReply {
  bool applied = false;
  std::uint64_t entry = 0;
  std::optional<std::string> service{};
  std::optional<std::string> incident{};
  std::optional<std::string> state{};  ///< of the incident
  std::optional<std::vector<std::string>> in_force{};
  std::optional<std::string> source{};
  std::optional<std::string> account{};
  std::optional<std::vector<NextItem>> next{};
  std::optional<std::string> approval{};
  std::optional<std::string> reason{};
  [[nodiscard]] static const doc::Schema<ByHandReply>& schema();
};

struct ApplyReply {
  bool applied = false;
  std::optional<bool> changed{};  ///< false: it ran already
  std::string commit{};
  std::uint64_t entry = 0;
  std::optional<std::string> definitions{};  ///< digest
  std::optional<std::vector<doc::Diagnostic>> warnings{};
  std::optional<std::string> approval{};
  std::optional<std::string> reason{};
  [[nodiscard]] static const doc::Schema<ApplyReply>& schema();
};

struct ApproveReply {
  std::string id{};
  bool applied = false;  ///< what waited for it is done
  std::uint64_t entry = 0;
  std::vector<NextItem> next{};
  [[nodiscard]] static const doc::Schema<ApproveReply>& schema();
};

struct RestoreReply {
  std::uint64_t entry = 0;
  std::uint64_t entries = 0;
  [[nodiscard]] static const doc::Schema<RestoreReply>& schema();
};

}  // namespace heddle::control
