#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "control/series_reply.hpp"
#include "control/wiring.hpp"
#include "spec/contract.hpp"
#include "table/input.hpp"

namespace heddle::cli {

/// The refused rows of a scored file, as `heddle score` wrote them.
struct RefusedFile {
  std::string service{};
  std::string path{};
  std::string as{};  ///< the source that the scored file was written as; empty: the model's
};

/// How it is read: the text of its numbers is as the scored file has it, all else as `heddle`
/// writes CSV.
[[nodiscard]] Result<table::Input> refused_file(const control::Wiring& wiring,
                                                const std::string& root, const RefusedFile& file);
/// Columns of such a file that came with the rows.
[[nodiscard]] Result<std::vector<std::string>> own_columns(const table::Input& input);
/// The column that says what each row broke; empty: it has none.
[[nodiscard]] Result<std::string> column_of_rules(const table::Input& input);

/// The first `limit` rows, as those of requests are shown: the request is the file, and `row` the
/// place in it. kUnprocessable `rows-no-rules`: it is no file of refused rows.
[[nodiscard]] Result<control::RefusedRowsReply> rows_of_file(const control::Wiring& wiring,
                                                             const std::string& root,
                                                             const RefusedFile& file,
                                                             std::int64_t limit);

/// The column of the rows' ids in a file that is written of them: `row_id`, or with `heddle_`
/// before it as often as it takes until neither a row nor the contract has a field of that name.
[[nodiscard]] std::string id_column_for(std::span<const control::RefusedRowItem> rows,
                                        std::span<const spec::Field> fields);

}  // namespace heddle::cli
