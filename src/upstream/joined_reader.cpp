#include "upstream/joined_reader.hpp"

#include <algorithm>

namespace heddle::upstream {
namespace {

class JoinedReader final : public table::TableReader {
 public:
  JoinedReader(std::unique_ptr<table::TableReader> rows, std::unique_ptr<table::TableReader> keys,
               const Joiner& joiner)
      : rows_(std::move(rows)),
        keys_(std::move(keys)),
        joiner_(joiner),
        columns_(rows_->columns()) {
    // Computed columns come last: those of the file keep their places.
    for (const auto& field : joiner.fields()) columns_.push_back({field.name, field.type});
  }

  [[nodiscard]] const std::vector<table::ColumnInfo>& columns() const noexcept override {
    return columns_;
  }
  [[nodiscard]] const std::vector<std::string>& left_out() const noexcept override {
    return rows_->left_out();
  }
  [[nodiscard]] bool text() const noexcept override { return rows_->text(); }
  [[nodiscard]] char decimal() const noexcept override { return rows_->decimal(); }

  [[nodiscard]] Result<std::optional<table::Table>> next() override {
    HEDDLE_ASSIGN_OR_RETURN(auto chunk, rows_->next());
    if (!chunk) return chunk;
    HEDDLE_ASSIGN_OR_RETURN(const table::Table keys, take(chunk->rows()));
    HEDDLE_ASSIGN_OR_RETURN(auto joined, joiner_.columns(keys));
    std::vector<table::Column> all(chunk->columns().begin(), chunk->columns().end());
    for (auto& column : joined) all.push_back(std::move(column));
    HEDDLE_ASSIGN_OR_RETURN(auto whole, table::Table::make(std::move(all)));
    return std::optional(std::move(whole));
  }

 private:
  /// The next rows of the columns that the join reads: their chunks may end elsewhere.
  Result<table::Table> take(std::int64_t rows) {
    std::vector<table::Table> parts;
    std::int64_t missing = rows;
    while (missing > 0) {
      if (at_ == pending_.rows()) {
        HEDDLE_ASSIGN_OR_RETURN(auto more, keys_->next());
        if (!more) {
          return Error{ErrorKind::kConflict, "score-input-changed",
                       "the file became shorter while it was read",
                       "read it again when it is complete"};
        }
        pending_ = *std::move(more);
        at_ = 0;
      }
      const std::int64_t count = std::min(missing, pending_.rows() - at_);
      parts.push_back(pending_.slice(at_, at_ + count));
      at_ += count;
      missing -= count;
    }
    return parts.size() == 1 ? std::move(parts[0]) : table::Table::concat(parts);
  }

  std::unique_ptr<table::TableReader> rows_;
  std::unique_ptr<table::TableReader> keys_;
  const Joiner& joiner_;
  std::vector<table::ColumnInfo> columns_;
  table::Table pending_{};
  std::int64_t at_ = 0;
};

}  // namespace

Result<std::unique_ptr<table::TableReader>> with_joined(std::unique_ptr<table::TableReader> reader,
                                                        const table::Input& input,
                                                        const Joiner& joiner,
                                                        const contract::Contract& contract) {
  table::ReadOptions reading;
  reading.columns.assign(joiner.reads().begin(), joiner.reads().end());
  for (const auto& field : contract.fields()) {
    if (joiner.reads().contains(field.name)) reading.types.emplace(field.name, field.type);
  }
  for (const auto& name : contract.text_fields()) {
    if (joiner.reads().contains(name)) reading.as_text.insert(name);
  }
  for (const auto& name : joiner.reads()) {
    const auto& columns = reader->columns();
    const bool is_there = std::any_of(columns.begin(), columns.end(),
                                      [&](const auto& column) { return column.name == name; });
    if (is_there) continue;
    return Error{ErrorKind::kUnprocessable, "column-missing",
                 fmt::format("`{}` has no column `{}`, by which `{}` is computed", input.text(),
                             name, joiner.fields().front().name),
                 "give the file that column, or the computed one itself"};
  }
  HEDDLE_ASSIGN_OR_RETURN(auto keys, table::TableReader::open(input, reading));
  return std::unique_ptr<table::TableReader>(
      std::make_unique<JoinedReader>(std::move(reader), std::move(keys), joiner));
}

}  // namespace heddle::upstream
