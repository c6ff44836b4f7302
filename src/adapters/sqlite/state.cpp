#include "adapters/sqlite/state.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "adapters/sqlite/connection.hpp"
#include "adapters/sqlite/integrity.hpp"
#include "adapters/sqlite/migrations.hpp"

namespace heddle::adapters {

Error sqlite_error(sqlite3* db, std::string_view what) {
  const int code = sqlite3_errcode(db);
  const std::string message = fmt::format("cannot {}: {}", what, sqlite3_errmsg(db));
  switch (code & 0xff) {
    case SQLITE_FULL:
      return {ErrorKind::kIo, "disk-full", message,
              "free space on that disk; nothing was half-written"};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {ErrorKind::kCorrupt, "state-corrupt", message,
              "restore the state from a backup, then run `heddle audit verify`"};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {ErrorKind::kConflict, "state-locked", message,
              "another process has the state open; stop it first"};
    default:
      return {ErrorKind::kIo, "state-failed", message, "see the disk's health, then start again"};
  }
}

Result<void> execute(sqlite3* db, const char* sql) {
  if (sqlite3_exec(db, sql, nullptr, nullptr, nullptr) != SQLITE_OK)
    return sqlite_error(db, "use the state");
  return {};
}

Result<Statement> prepare(sqlite3* db, const char* sql) {
  sqlite3_stmt* statement = nullptr;
  // Used for the life of the connection: SQLite keeps them out of its small scratch memory.
  if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr) !=
      SQLITE_OK) {
    return sqlite_error(db, "use the state");
  }
  return Statement(statement);
}

namespace {

constexpr std::size_t kLargestGroup = 128;

/// Resets a statement when its use is over, so that it never holds a snapshot open.
class Use {
 public:
  explicit Use(sqlite3_stmt* statement) : statement_(statement) {}
  ~Use() {
    sqlite3_reset(statement_);
    // Bindings point into the caller's strings, which are gone after this.
    sqlite3_clear_bindings(statement_);
  }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;
  void text(int index, std::string_view value) {
    sqlite3_bind_text64(statement_, index, value.data(), value.size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  void blob(int index, std::string_view value) {
    // A null pointer would bind NULL; an empty blob is a value.
    sqlite3_bind_blob64(statement_, index, value.empty() ? "" : value.data(), value.size(),
                        SQLITE_STATIC);
  }
  void integer(int index, std::int64_t value) { sqlite3_bind_int64(statement_, index, value); }
  int step() { return sqlite3_step(statement_); }
  [[nodiscard]] std::string_view column(int index) const {
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, index));
    return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, index))};
  }
  [[nodiscard]] std::int64_t number(int index) const {
    return sqlite3_column_int64(statement_, index);
  }

 private:
  sqlite3_stmt* statement_;
};

struct Statements {
  Statement get, put, erase, append, size;

  [[nodiscard]] Result<void> open(sqlite3* db) {
    HEDDLE_ASSIGN_OR_RETURN(
        get, prepare(db, "SELECT value, sum FROM kv WHERE collection = ?1 AND key = ?2"));
    HEDDLE_ASSIGN_OR_RETURN(put, prepare(db,
                                         "INSERT INTO kv VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO "
                                         "UPDATE SET value = ?3, sum = ?4"));
    HEDDLE_ASSIGN_OR_RETURN(erase,
                            prepare(db, "DELETE FROM kv WHERE collection = ?1 AND key = ?2"));
    HEDDLE_ASSIGN_OR_RETURN(append, prepare(db, "INSERT INTO log VALUES (?1, ?2, ?3)"));
    HEDDLE_ASSIGN_OR_RETURN(size, prepare(db, "SELECT coalesce(max(seq) + 1, 0) FROM log"));
    return {};
  }
};

/// The smallest key that is greater than every key with this prefix; empty: there is none.
std::string after_prefix(std::string_view prefix) {
  std::string end(prefix);
  // A last byte of 255 has no successor; the one before it is raised instead.
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

class SqliteTxn final : public store::Txn {
 public:
  SqliteTxn(sqlite3* db, Statements& statements, bool writable)
      : db_(db), sql_(statements), writable_(writable) {}

  Result<std::optional<std::string>> get(std::string_view collection,
                                         std::string_view key) override {
    Use use(sql_.get.get());
    use.text(1, collection);
    use.blob(2, key);
    switch (use.step()) {
      case SQLITE_ROW:
        // SQLite has no checksums of its own: a page that a disk changed would be read as if it
        // were right.
        if (sum_of(collection, key, use.column(0)) != use.number(1))
          return damaged(collection, key);
        return std::optional<std::string>(std::string(use.column(0)));
      case SQLITE_DONE: return std::optional<std::string>();
      default: return sqlite_error(db_, "read the state");
    }
  }

  Result<void> put(std::string_view collection, std::string_view key,
                   std::string_view value) override {
    HEDDLE_TRY(writable());
    Use use(sql_.put.get());
    use.text(1, collection);
    use.blob(2, key);
    use.blob(3, value);
    use.integer(4, sum_of(collection, key, value));
    if (use.step() != SQLITE_DONE) return sqlite_error(db_, "write the state");
    return {};
  }

  Result<void> erase(std::string_view collection, std::string_view key) override {
    HEDDLE_TRY(writable());
    Use use(sql_.erase.get());
    use.text(1, collection);
    use.blob(2, key);
    if (use.step() != SQLITE_DONE) return sqlite_error(db_, "write the state");
    return {};
  }

  Result<void> scan(std::string_view collection, std::string_view prefix,
                    const std::function<bool(std::string_view, std::string_view)>& visit) override {
    const std::string end = after_prefix(prefix);
    // Prepared anew: a visitor may scan again.
    HEDDLE_ASSIGN_OR_RETURN(
        const auto statement,
        prepare(
            db_,
            end.empty()
                ? "SELECT key, value, sum FROM kv WHERE collection = ?1 AND key >= ?2 ORDER BY key"
                : "SELECT key, value, sum FROM kv WHERE collection = ?1 AND key >= ?2 AND key < ?3 "
                  "ORDER BY key"));
    Use use(statement.get());
    use.text(1, collection);
    use.blob(2, prefix);
    if (!end.empty()) use.blob(3, end);
    for (;;) {
      const int code = use.step();
      if (code == SQLITE_DONE) return {};
      if (code != SQLITE_ROW) return sqlite_error(db_, "read the state");
      if (sum_of(collection, use.column(0), use.column(1)) != use.number(2))
        return damaged(collection, use.column(0));
      if (!visit(use.column(0), use.column(1))) return {};
    }
  }

  Result<std::uint64_t> append(std::string_view entry) override {
    HEDDLE_TRY(writable());
    // The transaction has the only writer, so nobody takes the same number.
    HEDDLE_ASSIGN_OR_RETURN(const auto number, log_size());
    Use use(sql_.append.get());
    use.integer(1, static_cast<std::int64_t>(number));
    use.blob(2, entry);
    use.integer(3, sum_of(number, entry));
    if (use.step() != SQLITE_DONE) return sqlite_error(db_, "append to the log");
    return number;
  }

  Result<std::uint64_t> log_size() override {
    Use use(sql_.size.get());
    if (use.step() != SQLITE_ROW) return sqlite_error(db_, "read the log");
    return static_cast<std::uint64_t>(use.number(0));
  }

  Result<void> read_log(
      std::uint64_t begin, std::uint64_t end,
      const std::function<bool(std::uint64_t, std::string_view)>& visit) override {
    HEDDLE_ASSIGN_OR_RETURN(
        const auto statement,
        prepare(db_, "SELECT seq, entry, sum FROM log WHERE seq >= ?1 AND seq < ?2 ORDER BY seq"));
    Use use(statement.get());
    use.integer(1, static_cast<std::int64_t>(begin));
    // UINT64_MAX means "to the end", and SQLite's integers are signed.
    use.integer(2, end > static_cast<std::uint64_t>(INT64_MAX) ? INT64_MAX
                                                               : static_cast<std::int64_t>(end));
    for (;;) {
      const int code = use.step();
      if (code == SQLITE_DONE) return {};
      if (code != SQLITE_ROW) return sqlite_error(db_, "read the log");
      const auto seq = static_cast<std::uint64_t>(use.number(0));
      if (sum_of(seq, use.column(1)) != use.number(2)) return damaged("log", fmt::to_string(seq));
      if (!visit(seq, use.column(1))) return {};
    }
  }

 private:
  [[nodiscard]] Result<void> writable() const {
    if (writable_) return {};
    return Error{ErrorKind::kInternal, "state-read-only",
                 "a read transaction cannot change the state"};
  }

  sqlite3* db_;
  Statements& sql_;
  bool writable_;
};

class SqliteState final : public store::State {
 public:
  SqliteState(Database db, Statements statements, std::string path)
      : db_(std::move(db)), sql_(std::move(statements)), path_(std::move(path)) {}

  ~SqliteState() override {
    bool entries = false;
    {
      Use use(sql_.size.get());
      entries = use.step() == SQLITE_ROW && use.number(0) > 0;
    }
    // Before the checkpoint, which an open statement would keep from emptying the log.
    sql_ = {};
    const bool whole =
        !broken_ && sqlite3_wal_checkpoint_v2(db_.get(), nullptr, SQLITE_CHECKPOINT_TRUNCATE,
                                              nullptr, nullptr) == SQLITE_OK;
    db_.reset();
    // One without entries is made anew where the real one is lost, and gives way to it.
    if (whole && entries)
      (void)keep_file_sum(path_);  // on a full disk the sums of the rows are left
  }

  Result<void> write(const std::function<Result<void>(store::Txn&)>& body) override {
    if (runner_.load() == std::this_thread::get_id()) return nested();
    Request request{&body};
    std::unique_lock lock(mutex_);
    waiting_.push_back(&request);
    // Whoever is first when the store is free commits; the others find their request done, or
    // become first.
    changed_.wait(lock, [&] { return request.done || (!busy_ && waiting_.front() == &request); });
    if (request.done) return std::move(request.result);
    // The first in line commits for everybody behind it.
    busy_ = true;
    std::vector<Request*> group(
        waiting_.begin(),
        waiting_.begin() + static_cast<std::ptrdiff_t>(std::min(waiting_.size(), kLargestGroup)));
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(group.size()));
    lock.unlock();
    runner_ = std::this_thread::get_id();
    // Without the lock: new requests line up behind it meanwhile, and are the next group.
    commit(group);
    runner_ = std::thread::id();
    lock.lock();
    busy_ = false;
    for (auto* member : group) member->done = true;
    changed_.notify_all();
    return std::move(request.result);
  }

  Result<void> read(const std::function<Result<void>(store::Txn&)>& body) override {
    if (runner_.load() == std::this_thread::get_id()) return nested();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !busy_; });
    busy_ = true;
    lock.unlock();
    runner_ = std::this_thread::get_id();
    auto result = [&]() -> Result<void> {
      HEDDLE_TRY(usable());
      HEDDLE_TRY(execute(db_.get(), "BEGIN"));
      SqliteTxn txn(db_.get(), sql_, false);
      auto done = body(txn);
      // It wrote nothing. What matters is that its snapshot of the database ends.
      (void)execute(db_.get(), "COMMIT");
      return done;
    }();
    runner_ = std::thread::id();
    lock.lock();
    busy_ = false;
    changed_.notify_all();
    return result;
  }

  Result<void> usable() const override {
    if (broken_) return *failed_;
    return {};
  }

 private:
  struct Request {
    const std::function<Result<void>(store::Txn&)>* body;
    Result<void> result{};
    bool done = false;
  };

  static Error nested() {
    return {ErrorKind::kInternal, "state-nested",
            "a transaction cannot open another on the same state"};
  }

  void fail_all(const std::vector<Request*>& group, const Error& error) {
    for (auto* member : group) {
      if (member->result) member->result = error;
    }
  }

  void commit(const std::vector<Request*>& group) {
    if (const auto can = usable(); !can.ok()) return fail_all(group, can.error());
    if (auto begun = execute(db_.get(), "BEGIN IMMEDIATE"); !begun)
      return fail_all(group, begun.error());
    const bool alone = group.size() == 1;
    bool anything = false;
    for (auto* member : group) {
      SqliteTxn txn(db_.get(), sql_, true);
      if (!alone) {
        member->result = execute(db_.get(), "SAVEPOINT member");
        if (!member->result) continue;
      }
      member->result = (*member->body)(txn);
      anything = anything || member->result.ok();
      // A full disk can make SQLite roll back the whole transaction: then nobody's work is there
      // any more.
      if (sqlite3_get_autocommit(db_.get()) != 0) {
        return fail_all(group, member->result ? Error{ErrorKind::kIo, "state-failed",
                                                      "the transaction was rolled back"}
                                              : member->result.error());
      }
      if (alone) continue;
      if (!member->result) (void)execute(db_.get(), "ROLLBACK TO member");
      (void)execute(db_.get(), "RELEASE member");
    }
    // Nobody has anything to keep.
    if (!anything) {
      (void)execute(db_.get(), "ROLLBACK");
      return;
    }
    if (auto done = execute(db_.get(), "COMMIT"); !done) {
      const int code = sqlite3_extended_errcode(db_.get());
      if (sqlite3_get_autocommit(db_.get()) == 0) (void)execute(db_.get(), "ROLLBACK");
      // After a failed fsync the kernel may have dropped what was to be written: nothing can be
      // believed any more.
      if (code != SQLITE_FULL && (code & 0xff) != SQLITE_BUSY) {
        failed_ = done.error();
        broken_ = true;
      }
      fail_all(group, done.error());
    }
  }

  Database db_;
  Statements sql_;
  std::string path_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Request*> waiting_;
  bool busy_ = false;
  std::atomic<std::thread::id> runner_{};
  std::optional<Error> failed_;      ///< touched by whoever made busy_ true; once only
  std::atomic<bool> broken_{false};  ///< `failed_` says why and stays as it is
};

}  // namespace

Result<std::unique_ptr<store::State>> open_sqlite_state(const std::string& path) {
  // Made before SQLite does, so that it is nobody else's to read from the first moment.
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    return Error{ErrorKind::kIo, "state-open-failed",
                 fmt::format("cannot open the state `{}`", path),
                 "see that its folder exists and is yours to write"};
  }
  ::close(fd);
  const auto same = check_file_sum(path);  // before SQLite begins a new one
  // One thread at a time uses it (`busy_`), so that SQLite needs no lock of its own.
  sqlite3* raw = nullptr;
  const int opened =
      sqlite3_open_v2(path.c_str(), &raw,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  Database db(raw);
  if (opened != SQLITE_OK) return sqlite_error(db.get(), "open the state");
  // FULL: what is committed is on the disk. Without mmap a disk that fails is an error and no
  // signal.
  HEDDLE_TRY(
      execute(db.get(),
              "PRAGMA locking_mode = EXCLUSIVE; PRAGMA mmap_size = 0; PRAGMA journal_mode = WAL;"
              "PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF; PRAGMA cache_size = -8192;"
              "PRAGMA recursive_triggers = ON"));
  HEDDLE_TRY(add_sum_function(db.get()));
  HEDDLE_TRY(check_version(db.get(), path, state_migrations()));
  HEDDLE_TRY(same);
  ::unlink((path + ".sum").c_str());  // from the first write on it is another file
  HEDDLE_TRY(migrate(db.get(), path, state_migrations()));
  HEDDLE_TRY(check_all(db.get()));
  Statements statements;
  HEDDLE_TRY(statements.open(db.get()));
  return std::unique_ptr<store::State>(
      std::make_unique<SqliteState>(std::move(db), std::move(statements), path));
}

}  // namespace heddle::adapters
