#pragma once

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "store/store.hpp"

namespace heddle::store::fixture {

/// A state in memory, for tests that open one often. Copying takes what it holds.
class MemoryState final : public State {
 public:
  MemoryState() = default;
  MemoryState(const MemoryState& other) : contents_(other.contents_) {}
  MemoryState& operator=(const MemoryState& other) {
    contents_ = other.contents_;
    return *this;
  }

  Result<void> write(const std::function<Result<void>(Txn&)>& body) override {
    if (is_mine()) return nested();
    const Turn turn(*this);
    const auto rows = contents_.rows;
    const std::size_t entries = contents_.log.size();
    Access access(contents_, true);
    auto done = body(access);
    if (done.ok()) return {};
    contents_.rows = rows;
    contents_.log.resize(entries);
    return done;
  }
  Result<void> read(const std::function<Result<void>(Txn&)>& body) override {
    if (is_mine()) return nested();
    const Turn turn(*this);
    Access access(contents_, false);
    return body(access);
  }
  Result<void> usable() const override { return {}; }

 private:
  struct Contents {
    std::map<std::pair<std::string, std::string>, std::string> rows;
    std::vector<std::string> log;
  };
  class Access final : public Txn {
   public:
    Access(Contents& contents, bool writes) : contents_(contents), writes_(writes) {}
    Result<std::optional<std::string>> get(std::string_view collection,
                                           std::string_view key) override {
      const auto row = contents_.rows.find({std::string(collection), std::string(key)});
      if (row == contents_.rows.end()) return std::optional<std::string>{};
      return std::optional{row->second};
    }
    Result<void> put(std::string_view collection, std::string_view key,
                     std::string_view value) override {
      HEDDLE_TRY(may_write());
      contents_.rows[{std::string(collection), std::string(key)}] = value;
      return {};
    }
    Result<void> erase(std::string_view collection, std::string_view key) override {
      HEDDLE_TRY(may_write());
      contents_.rows.erase({std::string(collection), std::string(key)});
      return {};
    }
    Result<void> scan(
        std::string_view collection, std::string_view prefix,
        const std::function<bool(std::string_view, std::string_view)>& visit) override {
      auto row = contents_.rows.lower_bound({std::string(collection), std::string(prefix)});
      for (; row != contents_.rows.end() && row->first.first == collection; ++row) {
        if (!row->first.second.starts_with(prefix) || !visit(row->first.second, row->second)) break;
      }
      return {};
    }
    Result<std::uint64_t> append(std::string_view entry) override {
      HEDDLE_TRY(may_write());
      contents_.log.emplace_back(entry);
      return std::uint64_t{contents_.log.size() - 1};
    }
    Result<std::uint64_t> log_size() override { return std::uint64_t{contents_.log.size()}; }
    Result<void> read_log(
        std::uint64_t begin, std::uint64_t end,
        const std::function<bool(std::uint64_t, std::string_view)>& visit) override {
      for (std::uint64_t n = begin; n < std::min<std::uint64_t>(end, contents_.log.size()); ++n)
        if (!visit(n, contents_.log[n])) break;
      return {};
    }

   private:
    Result<void> may_write() const {
      if (writes_) return {};
      return Error{ErrorKind::kInternal, "state-read-only", "a read cannot write"};
    }
    Contents& contents_;
    bool writes_;
  };
  /// The only one at work.
  class Turn {
   public:
    explicit Turn(MemoryState& state) : state_(state), lock_(state.mutex_) {
      state_.holder_ = std::this_thread::get_id();
    }
    ~Turn() { state_.holder_ = std::thread::id(); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    MemoryState& state_;
    std::lock_guard<std::mutex> lock_;
  };
  [[nodiscard]] bool is_mine() const { return holder_ == std::this_thread::get_id(); }
  static Error nested() {
    return Error{ErrorKind::kInternal, "state-nested", "a transaction within a transaction"};
  }

  std::mutex mutex_;
  std::atomic<std::thread::id> holder_{};
  Contents contents_;
};

/// Objects in memory.
class MemoryObjects final : public Objects {
 public:
  Result<Digest> put(std::string_view bytes) override {
    const Digest digest = sha256(bytes);
    const std::lock_guard lock(mutex_);
    blobs_[digest] = std::string(bytes);
    return digest;
  }
  Result<std::string> get(const Digest& digest) override {
    const std::lock_guard lock(mutex_);
    const auto found = blobs_.find(digest);
    if (found == blobs_.end()) {
      return Error{ErrorKind::kNotFound, "object-not-found",
                   fmt::format("there is no object `{}`", digest.str()), "put it there first"};
    }
    if (sha256(found->second) != digest) {
      return Error{ErrorKind::kCorrupt, "object-corrupt",
                   fmt::format("object `{}` does not match its digest", digest.str()),
                   "put it there again"};
    }
    return found->second;
  }
  bool has(const Digest& digest) override {
    const std::lock_guard lock(mutex_);
    return blobs_.contains(digest);
  }
  Result<void> tag(std::string_view name, const Digest& manifest, std::string_view,
                   std::uint64_t) override {
    const std::lock_guard lock(mutex_);
    std::erase_if(tags_, [&](const auto& tag) { return tag.first == name; });
    tags_.emplace_back(name, manifest);
    return {};
  }
  Result<std::vector<std::pair<std::string, Digest>>> tags() override {
    const std::lock_guard lock(mutex_);
    return tags_;
  }

  /// `bytes` stand in its place.
  void damage(const Digest& digest, std::string_view bytes) {
    const std::lock_guard lock(mutex_);
    blobs_.at(digest) = std::string(bytes);
  }
  /// One byte in the middle becomes another; a second time it is as it was.
  void flip(const Digest& digest) {
    const std::lock_guard lock(mutex_);
    auto& blob = blobs_.at(digest);
    blob[blob.size() / 2] = static_cast<char>(blob[blob.size() / 2] ^ 1);
  }
  void erase(const Digest& digest) {
    const std::lock_guard lock(mutex_);
    blobs_.erase(digest);
  }
  [[nodiscard]] std::map<Digest, std::string> all() {
    const std::lock_guard lock(mutex_);
    return blobs_;
  }

 private:
  std::map<Digest, std::string> blobs_{};
  std::vector<std::pair<std::string, Digest>> tags_{};
  std::mutex mutex_{};  // a data plane reads on a thread of its own
};

}  // namespace heddle::store::fixture
