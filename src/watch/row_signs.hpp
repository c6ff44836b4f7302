#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "doc/value.hpp"
#include "expr/datum.hpp"
#include "plane/journal.hpp"
#include "spec/contract.hpp"
#include "watch/state_bytes.hpp"

namespace heddle::watch {

/// What the refused rows of one sender have in common, by field: that it is absent, that it cannot
/// be read, that the contract does not list its value, that it is one value where others were
/// usual. It says how rows are wrong where a count of rules says only that they are.
/// Single-threaded.
class RowSigns {
 public:
  using FieldOf = std::function<expr::Datum(const std::string&)>;

  /// Only the fields of requests are looked at; `contract` is read here and not kept.
  explicit RowSigns(const spec::Contract& contract);
  RowSigns() = default;

  /// A row that was answered: what is usual. One in `kEvery` is looked at.
  void usual(const FieldOf& field_of);
  void refused(const plane::RowRecord& row, const FieldOf& field_of);
  /// Of the refused rows since the last call, `{"distance": {"absent": 12, "same": 40}}`: fields
  /// with a sign alone. `same`: rows that have the commonest value, where most answered rows had
  /// another. What is usual stays.
  [[nodiscard]] doc::Value take();

  void save(StateWriter& out) const;
  void load(StateReader& in);  ///< into one made of the same contract

 private:
  static constexpr int kEvery = 8;
  enum class Sign : std::uint8_t { kAbsent, kUnreadable, kUnlisted };

  /// The value that more than half of the rows had, if one did (Boyer and Moore's majority vote,
  /// 1981): `votes` is then at least the rows with it less the others.
  struct Majority {
    std::string value{};
    std::int64_t votes = 0;
    std::int64_t rows = 0;
    void add(const std::string& text);
  };
  struct Field {
    std::int64_t absent = 0;
    std::int64_t unreadable = 0;
    std::int64_t unlisted = 0;
    Majority refused{};
    Majority usual{};
  };
  struct Named {
    std::string name;
    std::map<std::string, Sign, std::less<>> rules;  ///< that say it of the field
  };

  std::vector<Named> names_;
  std::vector<Field> fields_;  ///< in the order of `names_`
  std::int64_t answered_ = 0;
};

}  // namespace heddle::watch
