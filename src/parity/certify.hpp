#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "bundle/parity.hpp"
#include "parity/probes.hpp"
#include "score/plan.hpp"
#include "table/table.hpp"

namespace heddle::parity {

/// What the library that wrote the model answers to rows that keep the contract, transforms
/// applied: `Task::outputs()` numbers each; NaN where it takes a row for none of its own.
using Library = std::function<Result<std::vector<float>>(const table::Table& accepted)>;

struct Certifying {
  const score::Plan* plan = nullptr;  ///< of the bundle in the making
  const Probed* probed = nullptr;
  Library library{};
  double tolerance = 0;
  std::string folder{};  ///< for files of the rows; there is one, and it is empty
};

/// Sends the rows by each way to the plan and holds each answer against the library's. The
/// certificate, but for what scores and whose file it was. kUnprocessable: `parity-differs`, with
/// row, column and both values, and how many more; `parity-no-answer`: the library answers no row;
/// `parity-unwritable`: no row can be written in the layouts that the contract declares.
[[nodiscard]] Result<bundle::ParityCertificate> certify(const Certifying& certifying);

}  // namespace heddle::parity
