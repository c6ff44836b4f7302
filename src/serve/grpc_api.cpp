#include "serve/grpc_api.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

#include <fmt/format.h>

#include "doc/protobuf.hpp"
#include "serve/oip_model.hpp"

namespace heddle::serve {
namespace {

using doc::ProtoReader;
using doc::ProtoWriter;

constexpr std::string_view kInference = "/inference.GRPCInferenceService/";
constexpr std::string_view kHealth = "/grpc.health.v1.Health/Check";
constexpr std::string_view kReflection =
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
constexpr std::string_view kReflectionAlpha =
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

/// What requests about a model name, whichever they are: strings of fields 1 and 2, a flag of field
/// 2, whether there is a field 3.
struct Named {
  std::string_view first{}, second{};
  bool flag = false;
  bool has_third = false;
};

Result<Named> read_named(std::string_view message) {
  Named named;
  ProtoReader reader(message);
  // The tag of field 2 tells a string (version, model name) from a flag (ready).
  while (reader.next()) {
    if (reader.field() == 1) {
      named.first = reader.bytes();
    } else if (reader.field() == 2) {
      // A copy is tried first: reading with the wrong type would fail the reader for good.
      ProtoReader copy = reader;
      named.second = copy.bytes();
      if (copy.failed())
        named.flag = reader.integer() != 0;
      else
        (void)reader.bytes();
    } else if (reader.field() == 3) {
      named.has_third = true;
    }
  }
  if (reader.failed())
    return Error{ErrorKind::kInvalid, "grpc-malformed", "the message is malformed",
                 "send messages of the Open Inference Protocol, version 2"};
  return named;
}

void write_tensor(ProtoWriter& writer, std::uint32_t field, const oip::Tensor& tensor) {
  writer.message(field, [&](ProtoWriter& w) {
    w.bytes(1, tensor.name);
    w.bytes(2, name_of(tensor.datatype));
    for (const std::int64_t dimension : tensor.shape)
      w.integer(3, static_cast<std::uint64_t>(dimension));
  });
}

/// `DataType` of the model configuration.
std::uint64_t config_type(Datatype datatype) noexcept {
  switch (datatype) {
    // Numbers of Triton's `DataType` enum, which its clients know.
    case Datatype::kBool: return 1;
    case Datatype::kInt64: return 9;
    case Datatype::kFp32: return 11;
    case Datatype::kFp64: return 12;
    default: return 13;  // strings; fields have no other type
  }
}

void write_config(ProtoWriter& writer, const oip::Model& model, std::size_t most_rows) {
  writer.message(1, [&](ProtoWriter& config) {
    config.bytes(1, model.name);
    config.bytes(2, oip::kPlatform);
    config.integer(4, most_rows);
    for (const oip::Tensor& tensor : model.inputs) {
      config.message(5, [&](ProtoWriter& w) {
        w.bytes(1, tensor.name);
        w.integer(2, config_type(tensor.datatype));
        w.integer(4, 1);
      });
    }
    for (const oip::Tensor& tensor : model.outputs) {
      config.message(6, [&](ProtoWriter& w) {
        w.bytes(1, tensor.name);
        w.integer(2, config_type(tensor.datatype));
        w.integer(3, static_cast<std::uint64_t>(tensor.shape.size() > 1 ? tensor.shape[1] : 1));
      });
    }
    for (const auto& [name, text] : model.parameters) {
      config.message(14, [&](ProtoWriter& entry) {
        entry.bytes(1, name);
        entry.message(2, [&](ProtoWriter& value) { value.bytes(1, text); });
      });
    }
    config.bytes(17, oip::kServer);
  });
}

void write_statistics(ProtoWriter& writer, const oip::Statistics& one) {
  const auto duration = [](ProtoWriter& w, std::uint32_t field, std::uint64_t count,
                           std::uint64_t ns) {
    w.message(field, [&](ProtoWriter& inner) {
      inner.integer(1, count);
      inner.integer(2, ns);
    });
  };
  writer.message(1, [&](ProtoWriter& w) {
    const auto& s = one.success;
    w.bytes(1, one.name);
    w.bytes(2, one.version);
    w.integer(3, static_cast<std::uint64_t>(s.last / 1000));
    w.integer(4, s.rows);
    w.integer(5, s.requests);
    w.message(6, [&](ProtoWriter& stats) {
      duration(stats, 1, s.requests, s.before_ns + s.score_ns);
      duration(stats, 2, one.failures, 0);
      duration(stats, 4, s.requests, s.before_ns);
      duration(stats, 5, s.requests, s.score_ns);
    });
  });
}

void set_status(const Error& error, net::GrpcReply& reply) {
  reply.message.clear();
  reply.status = grpc_status(error.kind);
  reply.status_message = status_text(error);
}

}  // namespace

/// Answers a call when a runtime did.
class GrpcApi::Deferred final : public DeferredReply {
 public:
  Deferred(GrpcApi& api, GrpcWanted wanted, const net::GrpcCall& call, std::int64_t begin,
           std::int64_t read)
      : api_(api),
        wanted_(wanted),
        streaming_(call.streaming),
        queued_(call.queued_ns),
        begin_(begin),
        read_(read) {}

  Done defer() override {
    api_.deferred_ = true;
    return [&api = api_, wanted = wanted_, streaming = streaming_, queued = queued_, begin = begin_,
            read = read_, tracing = api_.tracing_,
            responder = api_.options_.defer()](const Result<Answer>& answer) mutable {
      const std::int64_t scored = api.options_.clock->mono_ns();
      net::GrpcReply reply;
      std::string response;
      const Result<void> done =
          answer.ok() ? write_grpc(*answer, wanted, response) : Result<void>(answer.error());
      // In a stream an error is a message like an answer: the call itself goes on.
      if (streaming)
        write_stream(done, response, reply.message);
      else if (done.ok())
        reply.message = std::move(response);
      else
        set_status(done.error(), reply);
      // Before it is counted: the client waits for this, nobody for the metrics.
      responder.send_grpc(std::move(reply));
      if (answer.ok())
        api.take_stages(
            *answer, {queued, read - begin, scored - read, api.options_.clock->mono_ns() - scored},
            tracing);
      api.end(done, begin, queued, tracing);
    };
  }

 private:
  GrpcApi& api_;
  GrpcWanted wanted_;
  bool streaming_;
  std::int64_t queued_, begin_, read_;
};

void GrpcApi::take_stages(const Answer& answer, const Stages& stages, RequestTracing& tracing) {
  engine_.metrics().stages(stages);
  tracing.answered(answer, stages);
}

void GrpcApi::end(const Result<void>& done, std::int64_t begin, std::int64_t queued,
                  RequestTracing& tracing) {
  const std::int64_t took = options_.clock->mono_ns() - begin;
  // Metrics count both protocols by the same statuses.
  const int status = done.ok() ? 200 : error_kind_info(done.error().kind).http_status;
  engine_.metrics().answered(status, took);
  if (!done.ok()) engine_.metrics().refused(done.error().id);
  (void)tracing.end(status, took + queued, done.ok() ? 0 : grpc_status(done.error().kind));
}

int grpc_status(ErrorKind kind) noexcept {
  switch (kind) {
    case ErrorKind::kInvalid:
    case ErrorKind::kUnprocessable: return 3;  // INVALID_ARGUMENT
    case ErrorKind::kTimeout: return 4;        // DEADLINE_EXCEEDED
    case ErrorKind::kNotFound: return 5;
    case ErrorKind::kDenied: return 7;  // PERMISSION_DENIED
    case ErrorKind::kTooLarge:
    case ErrorKind::kBusy: return 8;       // RESOURCE_EXHAUSTED
    case ErrorKind::kConflict: return 10;  // ABORTED
    case ErrorKind::kUnavailable: return 14;
    case ErrorKind::kCorrupt: return 15;  // DATA_LOSS
    case ErrorKind::kUnauthenticated: return 16;
    case ErrorKind::kCancelled: return 1;
    default: return 13;  // INTERNAL
  }
}

std::vector<std::string> GrpcApi::streaming() {
  return {fmt::format("{}ModelStreamInfer", kInference), std::string(kReflection),
          std::string(kReflectionAlpha)};
}

Result<const Principal*> GrpcApi::principal(const net::GrpcCall& call,
                                            Permission permission) const {
  return options_.tokens->allow(call.bearer(), permission, engine_.name());
}

Result<const Principal*> GrpcApi::reader(const net::GrpcCall& call) const {
  return options_.tokens->allow_reading(call.bearer(), engine_.name());
}

Result<void> GrpcApi::infer(const net::GrpcCall& call, std::string& out) {
  Metrics& metrics = engine_.metrics();
  const std::int64_t begin = options_.clock->mono_ns();
  if (engine_.sheds(call.queued_ns, begin)) {
    return Error{ErrorKind::kUnavailable, "overloaded",
                 "more requests came than can be answered in time",
                 "try again, with fewer at once"};
  }
  // `grpc-timeout`'s, and once that is read the request's own `timeout`: whichever comes first.
  std::int64_t deadline = call.deadline_ns > 0 ? call.deadline_ns : INT64_MAX;
  const auto too_late = [&metrics] {
    metrics.shed();
    return Error{ErrorKind::kTimeout, "deadline",
                 "the call's deadline passed before it was looked at",
                 "give it more time, or send fewer at once"};
  };
  // Before the token is looked at: nobody waits for either answer.
  if (begin > deadline) return too_late();
  HEDDLE_ASSIGN_OR_RETURN(const Principal* who, principal(call, Permission::kPredict));
  if (engine_.serving() == nullptr) return engine_.not_ready();
  HEDDLE_ASSIGN_OR_RETURN(
      const GrpcInfer infer,
      reader_.read(call.message, engine_.serving()->fields, options_.service->limits.batch_rows));
  // After the message was read, since only that names the model.
  if (infer.model != engine_.name()) {
    return Error{ErrorKind::kNotFound, "service-unknown",
                 fmt::format("there is no model `{}`", shown(infer.model)),
                 fmt::format("a model is a service here: `{}`", engine_.name())};
  }
  const std::int64_t read = options_.clock->mono_ns();
  if (infer.rows->timeout_us > 0)
    deadline = std::min(deadline, begin - call.queued_ns + infer.rows->timeout_us * 1000);
  if (read > deadline) return too_late();
  const GrpcWanted wanted{infer.rows->outputs, infer.raw};
  Deferred deferred(*this, wanted, call, begin, read);
  HEDDLE_ASSIGN_OR_RETURN(
      const auto given,
      engine_.infer({*who, *infer.rows, infer.version, call.metadata, begin, deadline, &deferred}));
  if (!given.has_value()) return {};
  const std::int64_t scored = options_.clock->mono_ns();
  auto written = write_grpc(*given, wanted, out);
  take_stages(*given,
              {call.queued_ns, read - begin, scored - read, options_.clock->mono_ns() - scored},
              tracing_);
  return written;
}

/// A call that infers, in metrics and traces.
Result<void> GrpcApi::infer_call(const net::GrpcCall& call, std::string& out) {
  const std::int64_t begin = options_.clock->mono_ns();
  tracing_.begin(call.method.substr(1), call.metadata);
  std::string response;
  auto done = infer(call, call.streaming ? response : out);
  // `Deferred` ends metrics and trace.
  if (deferred_) return {};
  end(done, begin, call.queued_ns, tracing_);
  if (!call.streaming) return done;
  write_stream(done, response, out);
  return {};
}

Result<void> GrpcApi::is_served(std::string_view model) const {
  if (model == engine_.name()) return {};
  return Error{ErrorKind::kNotFound, "service-unknown",
               fmt::format("there is no model `{}`", shown(model)),
               fmt::format("a model is a service here: `{}`", engine_.name())};
}

Result<void> GrpcApi::write_metadata(std::string_view version, ProtoWriter& writer) const {
  HEDDLE_ASSIGN_OR_RETURN(const oip::Model model, oip::describe(engine_, version));
  writer.bytes(1, model.name);
  for (const std::string& each : model.versions) writer.bytes(2, each);
  writer.bytes(3, oip::kPlatform);
  for (const oip::Tensor& tensor : model.inputs) write_tensor(writer, 4, tensor);
  for (const oip::Tensor& tensor : model.outputs) write_tensor(writer, 5, tensor);
  return {};
}

void GrpcApi::write_index(bool only_ready, ProtoWriter& writer) const {
  for (const oip::IndexEntry& entry : oip::index(engine_, only_ready)) {
    writer.message(1, [&](ProtoWriter& w) {
      w.bytes(1, entry.name);
      w.bytes(2, entry.version);
      w.bytes(3, entry.ready ? "READY" : "UNAVAILABLE");
      w.bytes(4, entry.reason);
    });
  }
}

Result<void> GrpcApi::describe(std::string_view method, std::string_view message,
                               std::string& out) {
  HEDDLE_ASSIGN_OR_RETURN(const Named named, read_named(message));
  ProtoWriter writer(out);
  if (method == "ServerMetadata") {
    writer.bytes(1, oip::kServer);
    writer.bytes(2, oip::server_version());
    for (const std::string_view name : oip::extensions()) writer.bytes(3, name);
  } else if (method == "ModelReady") {
    HEDDLE_TRY(is_served(named.first));
    // False for a version that there is not: the protocol has no third answer.
    writer.integer(1, engine_.slot_of(named.second).ok() ? 1 : 0);
  } else if (method == "ModelMetadata") {
    HEDDLE_TRY(is_served(named.first));
    HEDDLE_TRY(write_metadata(named.second, writer));
  } else if (method == "ModelConfig") {
    HEDDLE_TRY(is_served(named.first));
    HEDDLE_ASSIGN_OR_RETURN(const oip::Model model, oip::describe(engine_, named.second));
    write_config(writer, model, options_.service->limits.batch_rows);
  } else if (method == "ModelStatistics") {
    // Without a name, of all models: there is one.
    if (!named.first.empty()) HEDDLE_TRY(is_served(named.first));
    HEDDLE_ASSIGN_OR_RETURN(const auto all, oip::statistics(engine_, named.second));
    for (const oip::Statistics& one : all) write_statistics(writer, one);
  } else if (method == "RepositoryIndex") {
    write_index(named.flag, writer);
  } else if (method == "RepositoryModelLoad") {
    HEDDLE_TRY(is_served(named.second));
    HEDDLE_TRY(oip::load(engine_, named.has_third));
  } else if (method == "RepositoryModelUnload") {
    HEDDLE_TRY(is_served(named.second));
    return oip::unload(engine_);
  } else {
    return Error{ErrorKind::kInternal, "grpc-method", "",
                 ""};  // not reached: `call_method` knows the names
  }
  return {};
}

Result<void> GrpcApi::call_method(std::string_view method, const net::GrpcCall& call,
                                  std::string& out) {
  ProtoWriter writer(out);
  if (method == "ModelInfer" || method == "ModelStreamInfer") return infer_call(call, out);
  // Live and ready ask for no token: an orchestrator probes without one.
  if (method == "ServerLive") {
    writer.integer(1, 1);
    return {};
  }
  if (method == "ServerReady") {
    writer.integer(1, engine_.ready() ? 1 : 0);
    return {};
  }
  HEDDLE_TRY(reader(call));
  return describe(method, call.message, out);
}

void GrpcApi::handle(const net::GrpcCall& call, net::GrpcReply& reply) {
  constexpr std::string_view kMethods[] = {
      "ModelInfer",      "ModelStreamInfer", "ServerLive",          "ServerReady",
      "ServerMetadata",  "ModelReady",       "ModelMetadata",       "ModelConfig",
      "ModelStatistics", "RepositoryIndex",  "RepositoryModelLoad", "RepositoryModelUnload"};
  const std::string_view method = call.method.starts_with(kInference)
                                      ? call.method.substr(kInference.size())
                                      : std::string_view{};
  Result<void> done;
  if (std::find(std::begin(kMethods), std::end(kMethods), method) != std::end(kMethods)) {
    done = call_method(method, call, reply.message);
  } else if (call.method == kHealth) {
    doc::ProtoWriter(reply.message).integer(1, engine_.ready() ? 1 : 2);  // SERVING, NOT_SERVING
  } else if (call.method == kReflection || call.method == kReflectionAlpha) {
    // Reflection tells which methods there are, so it is for who may read.
    const auto who = reader(call);
    done = who.ok() ? reflect(call.message, reply.message) : Result<void>(who.error());
  } else {
    reply.status = static_cast<int>(net::GrpcStatus::kUnimplemented);
    reply.status_message = fmt::format("there is no method `{}`", shown(call.method));
  }
  if (std::exchange(deferred_, false)) return;
  if (!done.ok()) set_status(done.error(), reply);
}

}  // namespace heddle::serve
