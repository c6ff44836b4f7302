#include "table/read_ahead.hpp"

#include <atomic>
#include <chrono>
#include <thread>

#include <gtest/gtest.h>

namespace heddle::table {
namespace {

/// Chunks of one row each, numbered; then an error or the end.
class Numbers final : public TableReader {
 public:
  Numbers(std::int64_t count, bool fails, std::atomic<std::int64_t>& read)
      : count_(count), fails_(fails), read_(read) {}
  [[nodiscard]] const std::vector<ColumnInfo>& columns() const noexcept override {
    return columns_;
  }
  [[nodiscard]] const std::vector<std::string>& left_out() const noexcept override {
    return left_out_;
  }
  [[nodiscard]] bool text() const noexcept override { return true; }
  [[nodiscard]] char decimal() const noexcept override { return ','; }
  Result<std::optional<Table>> next() override {
    if (next_ == count_) {
      if (fails_) return Error{ErrorKind::kCorrupt, "numbers-end", "the file ends in a chunk"};
      return std::optional<Table>{};
    }
    Column column;
    column.name = "n";
    column.ints = {next_++};
    read_ = next_;
    std::vector<Column> all;
    all.push_back(std::move(column));
    return std::optional<Table>(Table::make(std::move(all)).value());
  }

 private:
  std::int64_t count_;
  bool fails_;
  std::atomic<std::int64_t>& read_;
  std::int64_t next_ = 0;
  std::vector<ColumnInfo> columns_{{"n", Type::kInt}};
  std::vector<std::string> left_out_{"other"};
};

TEST(ReadAhead, TheSameChunksInTheirOrder) {
  for (const bool fails : {false, true}) {
    std::atomic<std::int64_t> read{0};
    const auto reader = read_ahead(std::make_unique<Numbers>(200, fails, read));
    EXPECT_EQ(reader->columns().front().name, "n");
    EXPECT_EQ(reader->left_out().front(), "other");
    EXPECT_TRUE(reader->text());
    EXPECT_EQ(reader->decimal(), ',');
    for (std::int64_t i = 0; i < 200; ++i) {
      const auto chunk = reader->next();
      ASSERT_TRUE(chunk.ok() && chunk->has_value());
      ASSERT_EQ((*chunk)->columns()[0].ints[0], i);
    }
    for (int again = 0; again < 2; ++again) {
      const auto end = reader->next();
      ASSERT_EQ(end.ok(), !fails);
      if (fails)
        EXPECT_EQ(end.error().id, "numbers-end");
      else
        EXPECT_FALSE(end->has_value());
    }
  }
}

TEST(ReadAhead, NoMoreThanOneChunkWaits) {
  std::atomic<std::int64_t> read{0};
  auto reader = read_ahead(std::make_unique<Numbers>(1000, false, read));
  EXPECT_EQ(read, 0) << "nothing is read before it is asked for";
  ASSERT_TRUE(reader->next().ok());
  // One waits, and one more is being read.
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (read < 3 && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
  EXPECT_EQ(read, 3);
  reader.reset();  // what is not asked for is not waited for
  EXPECT_EQ(read, 3);
}

}  // namespace
}  // namespace heddle::table
