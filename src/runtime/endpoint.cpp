#include "runtime/endpoint.hpp"

#include <algorithm>
#include <future>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "runtime/client.hpp"
#include "runtime/worker.hpp"

namespace heddle::runtime {
namespace {

/// Of the answers to one batch: many classes make much of a few rows, and a client reads 32 MiB.
constexpr std::size_t kMostNumbers = 1 << 20;
/// The name that a worker is told to serve under.
constexpr std::string_view kWorkerModel = "model";

class Live final : public Endpoint {
 public:
  Live(Runtime runtime, Shape shape, const Host& host)
      : runtime_(std::move(runtime)), shape_(std::move(shape)), host_(host) {}

  Result<void> open(std::string_view files) {
    if (runtime_.kind == Runtime::Kind::kProcess) {
      HEDDLE_ASSIGN_OR_RETURN(
          worker_, Worker::start({.command = runtime_.command,
                                  .model = std::string(kWorkerModel),
                                  .files = files,
                                  .directory = host_.directory,
                                  .hidden = host_.hidden,
                                  .whole_sandbox = runtime_.sandbox == Runtime::Sandbox::kFull,
                                  .memory_bytes = runtime_.memory_bytes,
                                  .start_timeout_ms = runtime_.start_timeout_ms,
                                  .ending = host_.ending}));
      address_ = {.unix_path = worker_->socket(), .model = std::string(kWorkerModel)};
    } else {
      address_ = {.url = runtime_.url, .model = runtime_.model, .token = runtime_.token};
    }
    HEDDLE_ASSIGN_OR_RETURN(auto client, Client::open(address_, runtime_.kind));
    const bool has_begun = runtime_.kind == Runtime::Kind::kProcess;
    HEDDLE_TRY(
        client.probe(has_begun ? runtime_.start_timeout_ms : runtime_.timeout_ms, &shape_.task));
    Pool::Options pool;
    pool.outputs = shape_.task.outputs();
    pool.connections = static_cast<std::size_t>(runtime_.connections);
    pool.queue_rows = host_.queue_rows;
    pool.batch_rows = batch_rows();
    pool.batch_ms = host_.batch_ms;
    pool.connect = [this] { return call(); };
    pool_ = std::make_unique<Pool>(std::move(pool));
    return {};
  }

  Result<void> submit(Rows rows, std::int64_t deadline_ns, Pool::Done done) const override {
    return pool_->submit(std::move(rows), deadline_ns, std::move(done));
  }

  Result<std::vector<float>> score(Rows rows) const override {
    if (rows.count() == 0) return std::vector<float>();
    auto promise = std::make_shared<std::promise<Result<std::vector<float>>>>();
    auto answer = promise->get_future();
    HEDDLE_TRY(
        submit(std::move(rows), system_clock().mono_ns() + runtime_.timeout_ms * kNanosPerMs,
               [promise](Result<std::vector<float>> got) { promise->set_value(std::move(got)); }));
    return answer.get();
  }

  const Runtime& runtime() const noexcept override { return runtime_; }
  std::size_t batch_rows() const noexcept override {
    return std::min(host_.batch_rows, std::max<std::size_t>(1, kMostNumbers / outputs()));
  }
  std::size_t outputs() const noexcept override { return shape_.task.outputs(); }
  Condition condition() const override {
    return {worker_ == nullptr || worker_->ready(), worker_ == nullptr ? 0 : worker_->restarts(),
            pool_->batches(), pool_->waiting_rows(),
            worker_ == nullptr ? std::nullopt : std::optional(worker_->layers())};
  }

 private:
  /// One connection, made at first use and again after one that failed to be made (a token that was
  /// not there yet).
  Pool::Call call() const {
    auto client = std::make_shared<std::unique_ptr<Client>>();
    return [this, client](std::span<const Rows* const> rows,
                          std::int64_t timeout_ms) -> Result<std::vector<float>> {
      if (*client == nullptr) {
        HEDDLE_ASSIGN_OR_RETURN(auto opened, Client::open(address_, runtime_.kind));
        *client = std::make_unique<Client>(std::move(opened));
      }
      return (*client)->infer(shape_, runtime_.output, rows, timeout_ms);
    };
  }

  Runtime runtime_;
  Shape shape_;
  Host host_;
  Address address_;
  std::unique_ptr<Worker> worker_;
  std::unique_ptr<Pool> pool_;  ///< ends before the worker does
};

}  // namespace

Result<std::unique_ptr<Endpoint>> Endpoint::start(Runtime runtime, Shape shape,
                                                  std::string_view files, const Host& host) {
  auto live = std::make_unique<Live>(std::move(runtime), std::move(shape), host);
  HEDDLE_TRY(live->open(files));
  return std::unique_ptr<Endpoint>(std::move(live));
}

}  // namespace heddle::runtime
