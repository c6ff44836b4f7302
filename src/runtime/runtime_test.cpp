#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.hpp"
#include "base/folder_fixture.hpp"
#include "doc/json.hpp"
#include "net/server.hpp"
#include "runtime/endpoint.hpp"
#include "runtime/oip.hpp"
#include "runtime/spec.hpp"
#include "runtime/tar.hpp"
#include "runtime/worker.hpp"

namespace heddle::runtime {
namespace {

namespace fs = std::filesystem;

/// A folder by its canonical path, and files in it.
struct Folder {
  void write(const std::string& name, std::string_view text, int mode = 0644) const {
    fs::create_directories(fs::path(path + "/" + name).parent_path());
    std::ofstream(path + "/" + name) << text;
    ::chmod((path + "/" + name).c_str(), static_cast<mode_t>(mode));
  }
  heddle::fixture::Folder held{};
  std::string path = fs::canonical(held.path()).string();
};

// ---- runtime.json
// -------------------------------------------------------------------------------------------------

TEST(Spec, ComesBackAsItWasWritten) {
  Runtime process{.kind = Runtime::Kind::kProcess,
                  .inputs = Runtime::Inputs::kFields,
                  .command = {"python3", "serve.py"}};
  const auto again = parse(to_value(process));
  ASSERT_TRUE(again.ok()) << again.error().str();
  EXPECT_EQ(to_value(*again), to_value(process));
  EXPECT_EQ(to_value(process).find("sandbox"), nullptr) << "bundles of before have another digest";
  process.sandbox = Runtime::Sandbox::kFull;
  EXPECT_EQ(parse(to_value(process))->sandbox, Runtime::Sandbox::kFull);
  Runtime upstream{.kind = Runtime::Kind::kUpstream,
                   .output = "p",
                   .url = "http://127.0.0.1:8080",
                   .model = "delay",
                   .token = "${env:TOKEN}"};
  EXPECT_EQ(to_value(*parse(to_value(upstream))), to_value(upstream));
}

TEST(Spec, IsReadStrictly) {
  const std::string head = R"({"format":"heddle.runtime/1",)";
  const std::string cases[] = {
      "{}",
      "[]",
      R"({"format":"heddle.runtime/2","runtime":"process","inputs":"fields","command":["x"]})",
      head + R"("runtime":"remote","inputs":"fields","command":["x"]})",
      head + R"("runtime":"process","inputs":"all","command":["x"]})",
      head + R"("runtime":"process","inputs":"fields"})",
      head + R"("runtime":"process","inputs":"fields","command":[]})",
      head + R"("runtime":"process","inputs":"fields","command":[1]})",
      head + R"("runtime":"process","inputs":"fields","command":["x"],"sandbox":"some"})",
      head + R"("runtime":"process","inputs":"fields","command":["x"],"timeout_ms":0})",
      head + R"("runtime":"process","inputs":"fields","command":["x"],"timeout_ms":"2"})",
      head + R"("runtime":"process","inputs":"fields","command":["x"],"tolerance":1})",
      head + R"("runtime":"process","inputs":"fields","command":["x"],"url":"http://a"})",
      head + R"("runtime":"process","inputs":"fields","command":["x"],"output":"a b"})",
      head + R"("runtime":"upstream","inputs":"fields","model":"m"})",
      head + R"("runtime":"upstream","inputs":"fields","url":"http://a","model":"a/b"})",
      head + R"("runtime":"upstream","inputs":"fields","url":"http://a","model":"m",)"
             R"("token":"secret"})",
  };
  for (const std::string& text : cases) {
    const auto parsed = parse(*doc::parse_json(text));
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.error().kind, ErrorKind::kCorrupt) << text;
  }
}

TEST(Spec, ReferencesAreResolvedAtUse) {
  ::setenv("HEDDLE_RUNTIME_TEST", "value", 1);
  EXPECT_EQ(*resolve("${env:HEDDLE_RUNTIME_TEST}"), "value");
  EXPECT_EQ(*resolve("plain"), "plain");
  EXPECT_EQ(resolve("${env:HEDDLE_RUNTIME_ABSENT}").error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(resolve("${vault:x}").error().kind, ErrorKind::kInvalid);
}

// ---- tar
// -------------------------------------------------------------------------------------------------

TEST(Tar, IsDeterministicAndComesBack) {
  Folder a, b, out;
  for (const Folder* each : {&a, &b}) {
    each->write("serve.py", "print(1)\n");
    each->write("bin/run", "#!/bin/sh\n", 0755);
    each->write("__pycache__/x.pyc", each->path);
    each->write(std::string(90, 'd') + "/" + std::string(90, 'f'), std::string(1500, 'x'));
    each->write("empty", "");
  }
  const auto archive = pack_folder(a.path);
  ASSERT_TRUE(archive.ok()) << archive.error().str();
  EXPECT_EQ(*archive, *pack_folder(b.path));
  EXPECT_EQ(archive->size() % 512, 0u);
  const std::string to = out.path + "/here";
  const auto unpacked = unpack(*archive, to);
  ASSERT_TRUE(unpacked.ok()) << unpacked.error().str();
  EXPECT_EQ(*read_file(to + "/serve.py"), "print(1)\n");
  EXPECT_EQ(*read_file(to + "/empty"), "");
  EXPECT_EQ(read_file(to + "/" + std::string(90, 'd') + "/" + std::string(90, 'f'))->size(), 1500u);
  EXPECT_FALSE(path_exists(to + "/__pycache__"));
  EXPECT_EQ(::access((to + "/bin/run").c_str(), X_OK), 0);
  EXPECT_EQ(*pack_folder(to), *archive);
  EXPECT_EQ(unpack(*archive, to).error().kind, ErrorKind::kConflict);
}

TEST(Tar, PacksNoLinks) {
  Folder a;
  a.write("serve.py", "x");
  fs::create_symlink("/etc/passwd", a.path + "/link");
  EXPECT_EQ(pack_folder(a.path).error().id, "runtime-files");
  Folder empty;
  EXPECT_EQ(pack_folder(empty.path).error().id, "runtime-files");
  EXPECT_EQ(pack_folder(empty.path + "/none").error().kind, ErrorKind::kNotFound);
}

/// One header with this path and type, its checksum right.
std::string entry(std::string_view path, char type, std::string_view content) {
  std::string header(512, '\0');
  header.replace(0, path.size(), path);
  const std::string size = fmt::format("{:011o}", content.size());
  header.replace(100, 7, "0000644");
  header.replace(108, 7, "0000000");
  header.replace(116, 7, "0000000");
  header.replace(124, 11, size);
  header.replace(136, 11, "00000000000");
  header[156] = type;
  header.replace(257, 8,
                 std::string_view("ustar\0"
                                  "00",
                                  8));
  unsigned sum = 0;
  header.replace(148, 8, "        ");
  for (const char c : header) sum += static_cast<unsigned char>(c);
  header.replace(148, 8, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
  header += content;
  header.resize((header.size() + 511) / 512 * 512);
  return header;
}

TEST(Tar, UnpacksNothingThatLeavesTheFolder) {
  Folder out;
  const std::string end(1024, '\0');
  const std::string good = entry("a", '0', "x");
  std::string bad_sum = good;
  bad_sum[0] = 'b';
  std::string too_long = entry("a", '0', "x");
  too_long.replace(124, 11, "77777777777");
  const std::string cases[] = {entry("/etc/x", '0', "x") + end,
                               entry("../x", '0', "x") + end,
                               entry("a/../../x", '0', "x") + end,
                               entry("a//b", '0', "x") + end,
                               entry("./x", '0', "x") + end,
                               entry("", '0', "x") + end,
                               entry("x", '2', "") + end,
                               entry("x", '1', "") + end,
                               entry("x", '3', "") + end,
                               entry("x", '6', "") + end,
                               entry("x", 'x', "") + end,
                               entry("x", 'L', "") + end,
                               good + good + end,
                               bad_sum + end,
                               too_long + end,
                               good,
                               good + end + "x",
                               "",
                               std::string(100, 'x'),
                               good.substr(0, 600),
                               entry("d", '5', "x") + end,
                               entry("x\n", '0', "") + end,
                               good + entry("a/b", '0', "x") + end,
                               entry("a/b/c", '0', "x") + entry("a/b", '0', "x") + end};
  for (const std::string& archive : cases) {
    const auto done = unpack(archive, out.path + "/here");
    ASSERT_FALSE(done.ok()) << archive.substr(0, 20);
    EXPECT_EQ(done.error().id, "runtime-tar");
    EXPECT_FALSE(path_exists(out.path + "/here"));
    EXPECT_FALSE(path_exists(out.path + "/x"));
  }
  EXPECT_FALSE(unpack(good + entry("b", '0', "x") + end, out.path + "/here", {.files = 1}).ok());
  EXPECT_FALSE(unpack(entry("b", '0', "xyz") + end, out.path + "/here", {.bytes = 2}).ok());
  EXPECT_TRUE(unpack(good + end, out.path + "/here").ok());
}

// ---- the protocol
// -------------------------------------------------------------------------------------------------

Shape fields() {
  return {.inputs = Runtime::Inputs::kFields,
          .fields = {{.name = "origin", .type = expr::Type::kString},
                     {.name = "distance", .type = expr::Type::kInt},
                     {.name = "date", .type = expr::Type::kTimestamp},
                     {.name = "weight", .type = expr::Type::kDouble},
                     {.name = "late", .type = expr::Type::kBool}}};
}

TEST(Oip, WritesFieldsWithWhatIsMissing) {
  Rows rows;
  rows.add_fields(
      std::vector<expr::Datum>{expr::Datum::string("LAX \"x\""), expr::Datum::integer(7),
                               expr::Datum::timestamp(*parse_time("2001-04-10T05:00:00Z")),
                               expr::Datum::null(), expr::Datum::boolean(true)});
  rows.add_fields(std::vector<expr::Datum>{expr::Datum::null(), expr::Datum::null(),
                                           expr::Datum::null(), expr::Datum::real(0.5),
                                           expr::Datum::boolean(false)});
  const Rows* all[] = {&rows};
  const auto json = oip::write(fields(), all, "probability", false);
  EXPECT_EQ(json.bytes.size(), json.json_bytes);
  const auto value = doc::parse_json(json.bytes);
  ASSERT_TRUE(value.ok()) << json.bytes;
  const auto& inputs = value->find("inputs")->as_array();
  const auto data = [&](std::string_view name) {
    for (const auto& tensor : inputs) {
      if (tensor.string_or("name") == name) return doc::to_json(*tensor.find("data"));
    }
    return std::string("none");
  };
  EXPECT_EQ(data("origin"), R"(["LAX \"x\"",""])");
  EXPECT_EQ(data("origin.missing"), "[false,true]");
  EXPECT_EQ(data("distance"), "[7,0]");
  EXPECT_EQ(data("date"), R"(["2001-04-10T05:00:00Z",""])");
  EXPECT_EQ(data("weight"), "[null,0.5]");
  EXPECT_EQ(data("weight.missing"), "[true,false]");
  EXPECT_EQ(data("late"), "[true,false]");
  EXPECT_EQ(data("late.missing"), "none");
  const auto binary = oip::write(fields(), all, "probability", true);
  const auto described =
      doc::parse_json(std::string_view(binary.bytes).substr(0, binary.json_bytes));
  ASSERT_TRUE(described.ok());
  std::size_t raw = 0;
  for (const auto& tensor : described->find("inputs")->as_array()) {
    raw += static_cast<std::size_t>(tensor.find("parameters")->int_or("binary_data_size"));
  }
  EXPECT_EQ(binary.json_bytes + raw, binary.bytes.size());
}

std::string output(std::string_view datatype, std::string_view shape, std::string_view rest) {
  return fmt::format(
      R"({{"model_name":"m","outputs":[{{"name":"probability","datatype":"{}","shape":{},{}}}]}})",
      datatype, shape, rest);
}

TEST(Oip, ReadsAnswersOfEachForm) {
  const auto read = [](const std::string& json, std::string raw = {}) {
    return oip::read(json + raw, json.size(), "probability", 2, {});
  };
  const auto bytes = [](auto... values) {
    std::string out;
    (out.append(reinterpret_cast<const char*>(&values), sizeof values), ...);
    return out;
  };
  const std::vector<float> expected = {0.25f, 0.75f};
  EXPECT_EQ(*read(output("FP64", "[2]", R"("data":[0.25,0.75])")), expected);
  EXPECT_EQ(*read(output("FP32", "[2,1]", R"("data":[[0.25],[0.75]])")), expected);
  EXPECT_EQ(*read(output("FP32", "[2,2]", R"("data":[0.75,0.25,0.25,0.75])")), expected);
  EXPECT_EQ(
      *read(output("FP32", "[2]", R"("parameters":{"binary_data_size":8})"), bytes(0.25f, 0.75f)),
      expected);
  EXPECT_EQ(*read(output("FP64", "[2,2]", R"("parameters":{"binary_data_size":32})"),
                  bytes(0.75, 0.25, 0.25, 0.75)),
            expected);
  EXPECT_TRUE(std::isnan((*read(output("FP32", "[2]", R"("data":[null,0.5])")))[0]));
  EXPECT_TRUE(std::isnan((*read(output("FP32", "[2]", R"("parameters":{"binary_data_size":8})"),
                                bytes(NAN, 0.5f)))[0]));
}

TEST(Oip, RefusesAnswersThatCannotBe) {
  const std::string cases[] = {
      "",
      "{",
      "[]",
      "{}",
      R"({"outputs":{}})",
      R"({"outputs":[]})",
      R"({"outputs":[1]})",
      R"({"outputs":[{"name":"other","datatype":"FP32","shape":[2],"data":[0,0]}]})",
      output("FP32", "[3]", R"("data":[0,0,0])"),
      output("FP32", "[2,3]", R"("data":[0,0,0,0,0,0])"),
      output("FP32", "[]", R"("data":[])"),
      output("FP32", "[2]", R"("data":[0])"),
      output("FP32", "[2]", R"("data":[0,0,0])"),
      output("FP32", "[2]", R"("data":[0,"x"])"),
      output("FP32", "[2]", R"("data":[0,[[[[0]]]]])"),
      output("INT64", "[2]", R"("data":[0,1])"),
      output("FP32", "[2]", R"("data":[0,1.5])"),
      output("FP32", "[2]", R"("data":[-0.1,1])"),
      output("FP32", "[2]", R"("x":1)"),
      output("FP32", "[2]", R"("parameters":{"binary_data_size":8})"),
      output("FP32", "[2]", R"("parameters":{"binary_data_size":9223372036854775807})"),
      output("FP32", "[-2]", R"("data":[0,0])")};
  for (const std::string& body : cases) {
    const auto answer = oip::read(body, body.size(), "probability", 2, {});
    ASSERT_FALSE(answer.ok()) << body;
    EXPECT_EQ(answer.error().id, "runtime-answer") << body;
  }
  EXPECT_FALSE(oip::read("{}", 3, "probability", 2, {}).ok());
  const std::string short_raw = output("FP32", "[2]", R"("parameters":{"binary_data_size":4})");
  EXPECT_FALSE(oip::read(short_raw + "abcd", short_raw.size(), "probability", 2, {}).ok());
}

const stats::Task kClasses{stats::TaskKind::kClasses, {"high", "low", "middle"}};
const stats::Task kNumber{stats::TaskKind::kRegression};

TEST(Oip, ReadsADistributionOrAValueARow) {
  const auto read = [](const stats::Task& task, const std::string& json, std::string raw = {}) {
    return oip::read(json + raw, json.size(), "probability", 2, task);
  };
  const std::vector<float> expected = {0.25f, 0.75f, 0, 0.5f, 0.25f, 0.25f};
  EXPECT_EQ(*read(kClasses, output("FP64", "[2,3]", R"("data":[0.25,0.75,0,0.5,0.25,0.25])")),
            expected);
  std::string raw(reinterpret_cast<const char*>(expected.data()), 24);
  EXPECT_EQ(
      *read(kClasses, output("FP32", "[2,3]", R"("parameters":{"binary_data_size":24})"), raw),
      expected);
  // Single precision does not sum to 1 exactly.
  EXPECT_TRUE(
      read(kClasses, output("FP64", "[2,3]", R"("data":[0.3333,0.3333,0.3333,1,0,0])")).ok());
  // One missing number makes none of the row.
  const auto part = read(kClasses, output("FP64", "[2,3]", R"("data":[0.5,null,0.5,1,0,0])"));
  ASSERT_TRUE(part.ok()) << part.error().str();
  for (int k = 0; k < 3; ++k) EXPECT_TRUE(std::isnan((*part)[static_cast<std::size_t>(k)]));
  EXPECT_EQ((*part)[3], 1);
  EXPECT_EQ(*read(kNumber, output("FP64", "[2]", R"("data":[-1200.5,3e7])")),
            (std::vector<float>{-1200.5f, 3e7f}));
  EXPECT_EQ(*read(kNumber, output("FP64", "[2,1]", R"("data":[[1],[2]])")),
            (std::vector<float>{1, 2}));
  EXPECT_TRUE(std::isnan((*read(kNumber, output("FP64", "[2]", R"("data":[null,2])")))[0]));
}

TEST(Oip, RefusesWhatIsNoAnswerOfTheTask) {
  const auto why = [](const stats::Task& task, const std::string& body) {
    const auto answer = oip::read(body, body.size(), "probability", 2, task);
    return answer.ok() ? std::string("taken") : answer.error().str();
  };
  using testing::HasSubstr;
  for (const char* shape : {"[2]", "[2,1]", "[2,2]", "[3,3]", "[2,3,1]", "[2,-3]"}) {
    EXPECT_THAT(why(kClasses, output("FP64", shape, R"("data":[1,0,0,1,0,0])")),
                HasSubstr("[2,3], a column for each of the classes"))
        << shape;
  }
  EXPECT_THAT(why(kClasses, output("FP64", "[2,3]", R"("data":[1,0,0,0.5,0.6,0.5])")),
              HasSubstr("row 1 is no distribution over the 3 classes: it sums to 1.6"));
  EXPECT_THAT(why(kClasses, output("FP64", "[2,3]", R"("data":[0,0,0,1,0,0])")),
              HasSubstr("row 0 is no distribution"));
  EXPECT_THAT(why(kClasses, output("FP64", "[2,3]", R"("data":[1,0,0,2.5,-1,-0.5])")),
              HasSubstr("2.5 in row 1 is no probability"));
  EXPECT_THAT(why(kClasses, output("FP64", "[2,3]", R"("data":[1,0,0,null,-1,0])")),
              HasSubstr("-1 in row 1 is no probability"));
  EXPECT_THAT(why(kNumber, output("FP64", "[2,2]", R"("data":[1,2,3,4])")),
              HasSubstr("another shape than [2] or [2,1]"));
  EXPECT_THAT(why(kNumber, output("INT64", "[2]", R"("data":[1,2])")),
              HasSubstr("INT64, not FP32 or FP64"));
}

TEST(Oip, MetadataMustNotNameAnotherTaskOrOtherClasses) {
  const auto why = [](const stats::Task& task, std::string_view parameters) {
    const auto said = oip::check_metadata(
        *doc::parse_json(fmt::format(R"({{"name":"m","parameters":{}}})", parameters)), task);
    return said.ok() ? std::string() : said.error().id;
  };
  EXPECT_EQ(why(kClasses, "null"), "");
  EXPECT_EQ(why(kClasses, R"({"task":"classes","classes":"[\"high\",\"low\",\"middle\"]"})"), "");
  EXPECT_EQ(why(kClasses, R"({"classes":"[\"high\",\"middle\",\"low\"]"})"), "runtime-classes");
  EXPECT_EQ(why(kClasses, R"({"classes":"[\"high\",\"low\"]"})"), "runtime-classes");
  EXPECT_EQ(why(kClasses, R"({"classes":"high, low"})"), "runtime-classes");
  EXPECT_EQ(why(kClasses, R"({"task":"regression"})"), "runtime-task");
  EXPECT_EQ(why(kNumber, R"({"task":"regression"})"), "");
  EXPECT_EQ(why(kNumber, R"({"task":{"string_value":"classes"}})"), "runtime-task");
  EXPECT_EQ(why(kClasses, R"({"classes":{"string_value":"[\"a\"]"}})"), "runtime-classes");
  EXPECT_EQ(why({}, R"({"classes":"[false,true]"})"), "") << "a classifier of two says its labels";
  const stats::Task whole{stats::TaskKind::kClasses, {"-1", "0", "2"}, true};
  EXPECT_EQ(why(whole, R"({"classes":"[-1,0,2]"})"), "");
  EXPECT_EQ(why(whole, R"({"classes":"[-1.0,0.0,2.0]"})"), "");
  EXPECT_EQ(why(whole, R"({"classes":"[0,1,2]"})"), "runtime-classes");
}

// ---- a server that answers as it is told
// ------------------------------------------------------------------------------------

class Upstream {
 public:
  explicit Upstream(net::HttpServer::Handler handler) {
    net::HttpServer::Options options;
    options.host = "127.0.0.1";
    options.handler = std::move(handler);
    server = std::move(*net::HttpServer::open(std::move(options)));
    thread = std::thread([this] { server->run(); });
  }
  ~Upstream() {
    server->stop();
    thread.join();
  }
  Runtime runtime() const {
    return {.kind = Runtime::Kind::kUpstream,
            .timeout_ms = 300,
            .url = fmt::format("http://127.0.0.1:{}", server->port()),
            .model = "m"};
  }
  std::unique_ptr<net::HttpServer> server;
  std::thread thread;
};

const Shape kOneFeature{.inputs = Runtime::Inputs::kFeatures, .features = {"a"}};

Rows one_row(float value) {
  Rows rows;
  rows.add_features(std::vector<float>{value});
  return rows;
}

TEST(Endpoint, SpeaksJsonToAnUpstreamWithoutTheExtension) {
  std::atomic<int> binary{0};
  Upstream upstream([&](const net::Request& request, net::Response& response) {
    if (request.path == "/v2")
      response.body = R"({"name":"x","version":"1","extensions":["statistics"]})";
    else if (!request.path.ends_with("/infer"))
      response.body = "{}";
    else if (!request.header("inference-header-content-length").empty())
      ++binary, response.status = 400;
    else
      response.body = output("FP32", "[1]", R"("data":[0.5])");
  });
  auto endpoint = Endpoint::start(upstream.runtime(), kOneFeature, {}, {});
  ASSERT_TRUE(endpoint.ok()) << endpoint.error().str();
  const auto answer = (*endpoint)->score(one_row(1));
  ASSERT_TRUE(answer.ok()) << answer.error().str();
  EXPECT_EQ(*answer, std::vector<float>{0.5f});
  EXPECT_EQ(binary, 0);
}

TEST(Endpoint, AnswersWithTheNumbersOfItsTaskAndRefusesAModelOfOtherClasses) {
  std::string classes = R"([\"high\",\"low\",\"middle\"])";
  Upstream upstream([&](const net::Request& request, net::Response& response) {
    if (request.path == "/v2")
      response.body = "{}";
    else if (!request.path.ends_with("/infer"))
      response.body = fmt::format(R"({{"parameters":{{"classes":"{}"}}}})", classes);
    else
      response.body = output("FP32", "[2,3]", R"("data":[0.5,0.25,0.25,0,0,1])");
  });
  const Shape shape{.features = {"a"}, .task = kClasses};
  {
    const auto endpoint = Endpoint::start(upstream.runtime(), shape, {}, {});
    ASSERT_TRUE(endpoint.ok()) << endpoint.error().str();
    EXPECT_EQ((*endpoint)->outputs(), 3U);
    Rows rows;
    rows.add_features(std::vector<float>{1});
    rows.add_features(std::vector<float>{2});
    const auto answer = (*endpoint)->score(std::move(rows));
    ASSERT_TRUE(answer.ok()) << answer.error().str();
    EXPECT_EQ(*answer, (std::vector<float>{0.5f, 0.25f, 0.25f, 0, 0, 1}));
  }
  classes = R"([\"low\",\"high\",\"middle\"])";
  const auto other = Endpoint::start(upstream.runtime(), shape, {}, {});
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().id, "runtime-classes");
}

TEST(Endpoint, AnUpstreamsConfigurationMayNameItsTask) {
  Upstream upstream([](const net::Request& request, net::Response& response) {
    if (request.path.ends_with("/config"))
      response.body = R"({"parameters":{"task":{"string_value":"classes"}}})";
    else
      response.body = "{}";
  });
  const auto of = [&](const stats::Task& task) {
    const auto endpoint =
        Endpoint::start(upstream.runtime(), {.features = {"a"}, .task = task}, {}, {});
    return endpoint.ok() ? std::string() : endpoint.error().id;
  };
  EXPECT_EQ(of(kClasses), "");
  EXPECT_EQ(of(kNumber), "runtime-task");
}

TEST(Endpoint, TakesFewerRowsAtOnceOfManyClasses) {
  Upstream upstream([&](const net::Request&, net::Response& response) { response.body = "{}"; });
  Shape shape{.features = {"a"}, .task = {stats::TaskKind::kClasses, {}}};
  for (int i = 0; i < 4096; ++i) shape.task.classes.push_back(fmt::format("c{}", i));
  const auto endpoint = Endpoint::start(upstream.runtime(), shape, {}, {});
  ASSERT_TRUE(endpoint.ok()) << endpoint.error().str();
  EXPECT_EQ((*endpoint)->batch_rows(), 256U);
}

TEST(Endpoint, SaysWhyAnUpstreamGaveNoAnswer) {
  std::atomic<int> mode{200};
  Upstream upstream([&](const net::Request& request, net::Response& response) {
    if (request.path == "/v2")
      response.body = R"({"extensions":["binary_tensor_data"]})";
    else if (!request.path.ends_with("/infer"))
      response.body = "{}";
    else if (mode == 500)
      response.status = 500, response.body = R"({"error":"out of memory"})";
    else if (mode == 0)
      response.body = "<html>";
    else
      response.body = output("FP32", "[1]", R"("data":[0.5])");
  });
  auto endpoint = Endpoint::start(upstream.runtime(), kOneFeature, {}, {});
  ASSERT_TRUE(endpoint.ok()) << endpoint.error().str();
  EXPECT_TRUE((*endpoint)->score(one_row(1)).ok());
  mode = 500;
  const auto refused = (*endpoint)->score(one_row(1));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().id, "runtime-refused");
  EXPECT_NE(refused.error().message.find("out of memory"), std::string::npos);
  mode = 0;
  EXPECT_EQ((*endpoint)->score(one_row(1)).error().id, "runtime-answer");
}

TEST(Endpoint, IsNotReadyWithoutAnUpstream) {
  Runtime runtime{.kind = Runtime::Kind::kUpstream,
                  .timeout_ms = 300,
                  .url = "http://127.0.0.1:1",
                  .model = "m"};
  EXPECT_EQ(Endpoint::start(runtime, kOneFeature, {}, {}).error().kind, ErrorKind::kUnavailable);
  Upstream starting([](const net::Request&, net::Response& response) { response.status = 503; });
  EXPECT_EQ(Endpoint::start(starting.runtime(), kOneFeature, {}, {}).error().id,
            "runtime-not-ready");
}

// ---- workers
// -------------------------------------------------------------------------------------------------

/// Rows of one feature x are answered with x / 100; the command's words choose what goes wrong.
struct WorkerWorld {
  WorkerWorld() {
    files = *pack_folder("tests/fixtures/worker");
    host.hidden = state.path;
    host.directory = state.path + "/runtime";
  }
  Result<std::unique_ptr<Endpoint>> start(std::vector<std::string> words = {}) const {
    Runtime runtime{.kind = Runtime::Kind::kProcess,
                    .command = {"/usr/bin/python3", "serve.py"},
                    .start_timeout_ms = 20'000};
    runtime.command.insert(runtime.command.end(), words.begin(), words.end());
    return Endpoint::start(runtime, kOneFeature, files, host);
  }
  Folder state;
  std::string files;
  Host host;
};

TEST(Worker, AnswersIsStartedAgainAfterAKillAndLeavesNothing) {
  WorkerWorld world;
  world.state.write("tokens/caller", "secret");
  {
    auto endpoint = world.start();
    ASSERT_TRUE(endpoint.ok()) << endpoint.error().str();
    EXPECT_EQ(*(*endpoint)->score(one_row(25)), std::vector<float>{0.25f});
    // The feature 1000 asks it to kill itself.
    EXPECT_FALSE((*endpoint)->score(one_row(1000)).ok());
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!(*endpoint)->condition().up || (*endpoint)->condition().restarts == 0) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    EXPECT_EQ((*endpoint)->condition().restarts, 1u);
    EXPECT_EQ(*(*endpoint)->score(one_row(75)), std::vector<float>{0.75f});
  }
  EXPECT_TRUE(list_dir(world.state.path + "/runtime").empty());
}

TEST(Worker, IsKeptInItsSandbox) {
  WorkerWorld world;
  world.state.write("tokens/caller", "secret");
  const std::string elsewhere = world.state.path + "-elsewhere";
  // Tries to read our token, write beside its folder, connect over TCP and to see our environment;
  // says what it could.
  auto endpoint = world.start({"--try", world.state.path + "/tokens/caller", elsewhere});
  ASSERT_TRUE(endpoint.ok()) << endpoint.error().str();
  // 2001.. ask for the outcomes: 1 when it was possible.
  EXPECT_EQ(*(*endpoint)->score(one_row(2001)), std::vector<float>{0}) << "it read a token";
  EXPECT_EQ(*(*endpoint)->score(one_row(2002)), std::vector<float>{0})
      << "it wrote outside of its folder";
  EXPECT_EQ(*(*endpoint)->score(one_row(2003)), std::vector<float>{0})
      << "it changed its own program";
  EXPECT_EQ(*(*endpoint)->score(one_row(2004)), std::vector<float>{0})
      << "it saw variables of ours";
  EXPECT_EQ(*(*endpoint)->score(one_row(2005)), std::vector<float>{1})
      << "it could not write into its run folder";
  EXPECT_FALSE(path_exists(elsewhere));
}

TEST(Worker, SaysWhyItCouldNotStart) {
  WorkerWorld world;
  const auto ended = world.start({"--exit"});
  ASSERT_FALSE(ended.ok());
  EXPECT_EQ(ended.error().id, "runtime-exited");
  EXPECT_NE(ended.error().message.find("exit code 3"), std::string::npos) << ended.error().message;
  EXPECT_NE(ended.error().message.find("no model here"), std::string::npos)
      << ended.error().message;
  Runtime absent{.kind = Runtime::Kind::kProcess, .command = {"no-such-program-anywhere"}};
  EXPECT_EQ(Endpoint::start(absent, kOneFeature, world.files, world.host).error().id,
            "runtime-program");
  Runtime silent{
      .kind = Runtime::Kind::kProcess, .command = {"sleep", "60"}, .start_timeout_ms = 300};
  EXPECT_EQ(Endpoint::start(silent, kOneFeature, world.files, world.host).error().id,
            "runtime-start");
  EXPECT_TRUE(list_dir(world.state.path + "/runtime").empty());
}

}  // namespace
}  // namespace heddle::runtime
