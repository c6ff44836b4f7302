#pragma once

#include "doc/schema.hpp"
#include "report/report.hpp"

namespace heddle::report {

/// `heddle.report/1`, docs/formats/report.md.
[[nodiscard]] const doc::Schema<Report>& report_schema();

/// As the document has it: `moved`.
[[nodiscard]] std::string_view state_name(State state) noexcept;

}  // namespace heddle::report
