#include <fmt/format.h>

#include "doc/protobuf.hpp"
#include "serve/grpc_api.hpp"

namespace heddle::serve {

/// The FileDescriptorSet of inference.proto: protoc's, put into the program by the build.
extern const unsigned char kInferenceDescriptor[];
extern const std::size_t kInferenceDescriptorSize;

namespace {

using doc::ProtoReader;
using doc::ProtoWriter;

constexpr std::string_view kFile = "inference.proto";
constexpr std::string_view kServices[] = {"inference.GRPCInferenceService", "grpc.health.v1.Health",
                                          "grpc.reflection.v1.ServerReflection",
                                          "grpc.reflection.v1alpha.ServerReflection"};
constexpr int kNotFound = 5;

/// The FileDescriptorProto in the set.
std::string_view file_descriptor() {
  ProtoReader set({reinterpret_cast<const char*>(kInferenceDescriptor), kInferenceDescriptorSize});
  return set.next() ? set.bytes() : std::string_view{};
}

}  // namespace

Result<void> reflect(std::string_view message, std::string& out) {
  std::uint32_t asked = 0;
  std::string_view argument;
  std::string_view host;
  ProtoReader reader(message);
  while (reader.next()) {
    if (reader.field() == 1) {
      host = reader.bytes();
    } else if (reader.field() == 3 || reader.field() == 4 || reader.field() == 6 ||
               reader.field() == 7) {
      asked = reader.field();
      argument = reader.bytes();
    }
  }
  if (reader.failed())
    return Error{ErrorKind::kInvalid, "grpc-malformed", "the reflection request is malformed",
                 "see grpc.reflection.v1"};
  ProtoWriter writer(out);
  writer.bytes(1, host);
  writer.bytes(2, message);
  if (asked == 7) {
    writer.message(6, [](ProtoWriter& list) {
      for (const std::string_view service : kServices)
        list.message(1, [&](ProtoWriter& w) { w.bytes(1, service); });
    });
  } else if ((asked == 3 && argument == kFile) ||
             (asked == 4 && argument.starts_with("inference."))) {
    writer.message(4, [](ProtoWriter& files) { files.bytes(1, file_descriptor()); });
  } else {
    writer.message(7, [&](ProtoWriter& error) {
      error.integer(1, kNotFound);
      error.bytes(2, fmt::format("`{}` is not described here", argument));
    });
  }
  return {};
}

}  // namespace heddle::serve
