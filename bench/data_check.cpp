// Our side of bench/data_bench.py: checks a file of rows by a contract.
//
//   data_check learn CONTRACT.json REFERENCE.parquet OUT.json
//   data_check check CONTRACT.json FILE OUT.csv THREADS ORDER.txt
//   data_check row CONTRACT.json FILE ROWS
//
// `row` checks rows at the head of a file one by one and prints the seconds of one, and which it
// refuses.
// `check` writes a line for each row that breaks a rule: its id, and a bit for each rule in the
// order of ORDER.txt. It prints what it took as JSON.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "base/file.hpp"
#include "contract/contract.hpp"
#include "doc/json.hpp"
#include "table/read_ahead.hpp"

namespace heddle {
namespace {

Result<contract::Contract> read_contract(const std::string& path) {
  HEDDLE_ASSIGN_OR_RETURN(const auto text, read_file(path));
  HEDDLE_ASSIGN_OR_RETURN(const auto value, doc::parse_json(text));
  return contract::Contract::from_value(value);
}

table::ReadOptions reading_of(const contract::Contract& contract) {
  table::ReadOptions out;
  for (const auto& field : contract.fields()) {
    out.columns.push_back(field.name);
    out.types.emplace(field.name, field.type);
  }
  return out;
}

Result<void> learn(const std::string& contract_path, const std::string& reference,
                   const std::string& out) {
  HEDDLE_ASSIGN_OR_RETURN(auto contract, read_contract(contract_path));
  HEDDLE_ASSIGN_OR_RETURN(const auto rows, table::read_table(reference, reading_of(contract)));
  HEDDLE_TRY(contract.learn(rows));
  return write_file_atomic(out, doc::to_json(contract.to_value()));
}

/// The bit of each of our rules.
Result<std::vector<std::uint64_t>> bits_of(const contract::Contract& contract,
                                           const std::string& order) {
  std::map<std::string, std::uint64_t> bits;
  std::ifstream file(order);
  std::uint64_t bit = 1;
  for (std::string line; std::getline(file, line); bit <<= 1) bits[line] = bit;
  std::vector<std::uint64_t> out;
  for (const auto& rule : contract.rules()) {
    if (!bits.contains(rule.id))
      return Error{ErrorKind::kInvalid, "bench-rule", fmt::format("`{}` has no bit", rule.id)};
    out.push_back(bits[rule.id]);
  }
  return out;
}

/// Lists the rows that break a rule.
class Listing {
 public:
  Listing(const contract::Contract& contract, std::vector<std::uint64_t> bits, std::FILE* out)
      : contract_(contract), bits_(std::move(bits)), out_(out) {
    std::fputs("id,broken\n", out_);
  }

  void add(const table::Table& rows, const contract::TableCheck& check) {
    std::vector<const table::Column*> columns;
    for (const auto& field : contract_.request_fields()) columns.push_back(rows.find(field.name));
    std::vector<expr::Datum> raw(columns.size());
    for (std::size_t row = 0; row < check.refused.size(); ++row) {
      if (check.refused[row] == 0) continue;
      const auto at = static_cast<std::int64_t>(row);
      for (std::size_t i = 0; i < raw.size(); ++i)
        raw[i] = columns[i]->cell(columns[i]->view(), at);
      contract_.check(raw, row_);
      std::uint64_t broken = 0;
      for (const auto rule : row_.broken) broken |= bits_[rule];
      std::fputs(fmt::format("{},{}\n", id_of(*columns[0], row), broken).c_str(), out_);
      ++count;
    }
  }

  std::int64_t count = 0;

 private:
  static std::string id_of(const table::Column& column, std::size_t row) {
    if (!column.valid.empty() && column.valid[row] == 0) return "";
    return fmt::to_string(column.ints[row]);
  }

  const contract::Contract& contract_;
  std::vector<std::uint64_t> bits_;
  std::FILE* out_;
  contract::RowCheck row_;
};

void append(const table::Column& from, table::Column& to) {
  const auto before = to.ints.size();
  to.ints.insert(to.ints.end(), from.ints.begin(), from.ints.end());
  if (from.valid.empty() && to.valid.empty()) return;
  to.valid.resize(before, 1);
  if (from.valid.empty())
    to.valid.resize(to.ints.size(), 1);
  else
    to.valid.insert(to.valid.end(), from.valid.begin(), from.valid.end());
}

double thread_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

Result<void> check(const std::string& contract_path, const std::string& path,
                   const std::string& out, unsigned threads, const std::string& order) {
  const auto begun = std::chrono::steady_clock::now();
  HEDDLE_ASSIGN_OR_RETURN(const auto contract, read_contract(contract_path));
  HEDDLE_ASSIGN_OR_RETURN(auto opened, table::TableReader::open(path, reading_of(contract)));
  const auto reader = threads > 1 ? table::read_ahead(std::move(opened)) : std::move(opened);
  HEDDLE_ASSIGN_OR_RETURN(auto bits, bits_of(contract, order));
  std::FILE* file = std::fopen(out.c_str(), "w");
  if (file == nullptr) return Error{ErrorKind::kIo, "bench-out", "cannot write " + out};
  Listing listing(contract, std::move(bits), file);
  table::Column ids;
  ids.name = "id";
  std::int64_t rows = 0;
  double reading = 0;   // waiting for it: a thread of its own reads
  double checking = 0;  // CPU
  for (;;) {
    const auto asked = std::chrono::steady_clock::now();
    HEDDLE_ASSIGN_OR_RETURN(const auto chunk, reader->next());
    reading += std::chrono::duration<double>(std::chrono::steady_clock::now() - asked).count();
    if (!chunk) break;
    const double before = thread_seconds();
    HEDDLE_ASSIGN_OR_RETURN(const auto result, contract.check_table(*chunk));
    listing.add(*chunk, result);
    append(*chunk->find("id"), ids);
    checking += thread_seconds() - before;
    rows += chunk->rows();
  }
  const double before = thread_seconds();
  std::vector<table::Column> only;
  only.push_back(std::move(ids));
  HEDDLE_ASSIGN_OR_RETURN(const auto table, table::Table::make(std::move(only)));
  HEDDLE_ASSIGN_OR_RETURN(const auto sets, contract.check_set(table));
  checking += thread_seconds() - before;
  std::fclose(file);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto in_seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  fmt::print("{}\n", doc::to_json(doc::Value::object(
                         {{"seconds", seconds},
                          {"reading", reading},
                          {"checking", checking},
                          {"cpu", in_seconds(usage.ru_utime) + in_seconds(usage.ru_stime)},
                          {"rows", rows},
                          {"repeats", sets.front().value},
                          {"peak_mb", static_cast<double>(usage.ru_maxrss) / 1024}})));
  return {};
}

/// Values in memory to a verdict, row by row; the fastest of several rounds.
Result<void> check_rows(const std::string& contract_path, const std::string& path,
                        std::int64_t count) {
  HEDDLE_ASSIGN_OR_RETURN(const auto contract, read_contract(contract_path));
  HEDDLE_ASSIGN_OR_RETURN(const auto reader, table::TableReader::open(path, reading_of(contract)));
  HEDDLE_ASSIGN_OR_RETURN(const auto chunk, reader->next());
  if (!chunk) return Error{ErrorKind::kInvalid, "bench-empty", "the file has no rows"};
  count = std::min(count, chunk->rows());
  std::vector<std::vector<expr::Datum>> rows(static_cast<std::size_t>(count));
  for (std::int64_t row = 0; row < count; ++row) {
    for (const auto& field : contract.request_fields()) {
      const table::Column* column = chunk->find(field.name);
      rows[static_cast<std::size_t>(row)].push_back(column->cell(column->view(), row));
    }
  }
  contract::RowCheck check;
  double best = 1e9;
  doc::Value refused;
  for (int round = 0; round < 20; ++round) {
    refused = doc::Value::array();
    const auto begun = std::chrono::steady_clock::now();
    for (std::size_t row = 0; row < rows.size(); ++row) {
      contract.check(rows[row], check);
      if (check.refused) refused.push(static_cast<std::int64_t>(row));
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
    best = std::min(best, took.count() / static_cast<double>(count));
  }
  fmt::print("{}\n", doc::to_json(doc::Value::object({{"seconds", best}, {"refused", refused}})));
  return {};
}

int run(const std::vector<std::string>& words) {
  Result<void> done = Error{ErrorKind::kInvalid, "bench-use", "see the head of data_check.cpp"};
  if (words.size() == 5 && words[1] == "learn") done = learn(words[2], words[3], words[4]);
  if (words.size() == 7 && words[1] == "check") {
    const auto threads = static_cast<unsigned>(std::atoi(words[5].c_str()));
    done = check(words[2], words[3], words[4], threads, words[6]);
  }
  if (words.size() == 5 && words[1] == "row")
    done = check_rows(words[2], words[3], std::atoll(words[4].c_str()));
  if (done.ok()) return 0;
  fmt::print(stderr, "data_check: {}: {}\n", done.error().id, done.error().message);
  return 1;
}

}  // namespace
}  // namespace heddle

int main(int count, char** words) { return heddle::run({words, words + count}); }
