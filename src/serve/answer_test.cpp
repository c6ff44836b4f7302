// What each protocol says of a prediction, by task. Answers are made by hand.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "doc/json.hpp"
#include "doc/protobuf.hpp"
#include "serve/answer.hpp"
#include "serve/grpc_api.hpp"
#include "serve/output_values.hpp"
#include "serve/rows.hpp"

namespace heddle::serve {
namespace {

using stats::Task;
using stats::TaskKind;

const Task kThree{.kind = TaskKind::kClasses, .classes = {"early", "on \"time\"", "late"}};
const Task kWhole{.kind = TaskKind::kClasses, .classes = {"-1", "0", "7"}, .whole_classes = true};
const Task kNumber{.kind = TaskKind::kRegression};
const Task kTruth{};

/// A served row, one that was served with a warning, and a refused one.
struct Made {
  explicit Made(const Task& task, const score::Conformal* conformal = nullptr) {
    answer.by = {"trips", "q-1", "sha256:aa", "primary", 7};
    answer.task = &task;
    answer.conformal = conformal;
    switch (task.kind) {
      case TaskKind::kBinary: numbers = {{0.25F}, {0.75F}}; break;
      case TaskKind::kClasses:
        numbers = {{0.125F, 0.5F, 0.375F}, {0.0625F, 0.0625F, 0.875F}};
        break;
      case TaskKind::kRegression: numbers = {{12.5F}, {-0.1F}}; break;
    }
    for (const auto& row : numbers)
      rows.push_back({.outcome = plane::RowOutcome::kServed, .prediction = row});
    rows[1].rules = warned;
    rows.push_back({.outcome = plane::RowOutcome::kRefused, .rules = broken});
    answer.rows = rows;
  }

  [[nodiscard]] std::string plain() const {
    net::Response response;
    write_predictions(answer, response);
    EXPECT_EQ(response.status, 200);
    const auto body = doc::parse_json(response.body);
    EXPECT_TRUE(body.ok()) << response.body;
    return doc::to_json(*body->find("predictions"));
  }
  [[nodiscard]] std::string oip(const OutputSpecs& wanted = {}) const {
    net::Response response;
    write_oip(answer, wanted, response);
    const auto body = doc::parse_json(response.body);
    EXPECT_TRUE(body.ok()) << response.body;
    return doc::to_json(*body->find("outputs"));
  }

  std::vector<std::vector<float>> numbers;
  std::vector<std::string_view> warned{"no-circle"};
  std::vector<std::string_view> broken{"a", "b"};
  std::vector<plane::RowView> rows;
  Answer answer;
};

TEST(PlainAnswer, IsOfItsTask) {
  EXPECT_EQ(Made(Task{}).plain(),
            R"([{"probability":0.25},{"probability":0.75,"warnings":["no-circle"]},)"
            R"({"probability":null,"validation":["a","b"]}])");
  EXPECT_EQ(
      Made(kThree).plain(),
      R"([{"label":"on \"time\"","probabilities":{"early":0.125,"on \"time\"":0.5,"late":0.375}},)"
      R"({"label":"late","probabilities":{"early":0.0625,"on \"time\"":0.0625,"late":0.875},)"
      R"("warnings":["no-circle"]},)"
      R"({"label":null,"validation":["a","b"]}])");
  EXPECT_EQ(Made(kNumber).plain(), R"([{"value":12.5},{"value":-0.1,"warnings":["no-circle"]},)"
                                   R"({"value":null,"validation":["a","b"]}])");
}

/// The first row as it came, the second and the refused one with repairs.
struct Repaired : Made {
  Repaired() : Made(kTruth) { answer.repairs = each; }  // it keeps where the task is
  std::vector<std::string_view> two{"origin-trim", "origin-case"}, one{"distance-clip"};
  std::vector<std::span<const std::string_view>> each{{}, two, one};
};

TEST(PlainAnswer, NamesTheRepairsOfEachRow) {
  EXPECT_EQ(Repaired().plain(),
            R"([{"probability":0.25},)"
            R"({"probability":0.75,"warnings":["no-circle"],)"
            R"("repairs":["origin-trim","origin-case"]},)"
            R"({"probability":null,"validation":["a","b"],"repairs":["distance-clip"]}])");
}

TEST(OipAnswer, HasRepairsWhereTheyAreAskedFor) {
  EXPECT_EQ(Repaired().oip(), Made(Task{}).oip());
  OutputSpecs wanted;
  ASSERT_TRUE(wanted.list("repairs").ok());
  ASSERT_TRUE(wanted.check(Task{}, false).ok());
  EXPECT_EQ(Repaired().oip(wanted), R"([{"name":"repairs","datatype":"BYTES","shape":[3],)"
                                    R"("data":["","origin-trim,origin-case","distance-clip"]}])");
  EXPECT_EQ(Made(Task{}).oip(wanted),
            R"([{"name":"repairs","datatype":"BYTES","shape":[3],"data":["","",""]}])");
  const Repaired made;
  std::string bytes;
  put_raw(made.answer, Output::kRepairs, bytes);
  using namespace std::string_literals;
  EXPECT_EQ(bytes, "\0\0\0\0\x17\0\0\0origin-trim,origin-case\x0d\0\0\0distance-clip"s);
}

TEST(PlainAnswer, HasTheIntervalOrTheSet) {
  const score::Conformal half{0.9, 0.6};
  EXPECT_EQ(Made(kWhole, &half).plain(),
            R"([{"label":0,"probabilities":{"-1":0.125,"0":0.5,"7":0.375},"set":[0]},)"
            R"({"label":7,"probabilities":{"-1":0.0625,"0":0.0625,"7":0.875},"set":[7],)"
            R"("warnings":["no-circle"]},)"
            R"({"label":null,"validation":["a","b"]}])");
  const score::Conformal wide{0.99, 0.875};  // of 1 - p: 1/8 is in, 1/16 is not
  EXPECT_NE(Made(kThree, &wide).plain().find(R"("set":["early","on \"time\"","late"])"),
            std::string::npos);
  const score::Conformal two{0.9, 2.25};
  EXPECT_TRUE(Made(kNumber, &two)
                  .plain()
                  .starts_with(R"([{"value":12.5,"lower":10.25,"upper":14.75},{"value":-0.1,)"))
      << Made(kNumber, &two).plain();
  // A probability has no interval.
  EXPECT_EQ(Made(Task{}, &two).plain(), Made(Task{}).plain());
}

TEST(OipAnswer, HasTheTensorsOfItsTask) {
  EXPECT_EQ(
      Made(Task{}).oip(),
      R"([{"name":"probability","datatype":"FP32","shape":[3],"data":[0.25,0.75,null]},)"
      R"({"name":"validation","datatype":"BYTES","shape":[3],"data":["","no-circle","a,b"]}])");
  const score::Conformal half{0.9, 0.6};
  EXPECT_EQ(
      Made(kThree, &half).oip(),
      R"([{"name":"probabilities","datatype":"FP32","shape":[3,3],)"
      R"("data":[0.125,0.5,0.375,0.0625,0.0625,0.875,null,null,null]},)"
      R"({"name":"label","datatype":"BYTES","shape":[3],"data":["on \"time\"","late",null]},)"
      R"({"name":"set","datatype":"BOOL","shape":[3,3],)"
      R"("data":[false,true,false,false,false,true,false,false,false]},)"
      R"({"name":"validation","datatype":"BYTES","shape":[3],"data":["","no-circle","a,b"]}])");
  const score::Conformal two{0.9, 2.25};
  const std::string number = Made(kNumber, &two).oip();
  EXPECT_TRUE(number.starts_with(
      R"([{"name":"value","datatype":"FP32","shape":[3],"data":[12.5,-0.1,null]},)"
      R"({"name":"lower","datatype":"FP32","shape":[3],"data":[10.25,-2.3500001,null]},)"
      R"({"name":"upper","datatype":"FP32","shape":[3],"data":[14.75,2.15,null]},)"))
      << number;
  EXPECT_EQ(Made(kNumber).oip().find("lower"), std::string::npos);
}

/// The raw bytes of an output as numbers.
template <class T>
std::vector<T> raw(const Answer& answer, Output output) {
  std::string bytes;
  put_raw(answer, output, bytes);
  std::vector<T> out(bytes.size() / sizeof(T));
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

TEST(OipAnswer, RawBytesSayWhatTheJsonSays) {
  const Made whole(kWhole);
  EXPECT_EQ(raw<std::int64_t>(whole.answer, Output::kLabel),
            (std::vector<std::int64_t>{0, 7, kNoLabel}));
  const auto numbers = raw<float>(whole.answer, Output::kProbabilities);
  ASSERT_EQ(numbers.size(), 9U);
  EXPECT_EQ(numbers[5], 0.875F);
  EXPECT_TRUE(std::isnan(numbers[6]));
  std::string labels;
  const Made three(kThree);
  put_raw(three.answer, Output::kLabel, labels);
  EXPECT_EQ(labels, std::string("\x9\0\0\0on \"time\"\x4\0\0\0late\0\0\0\0", 25));
  EXPECT_NE(whole.oip().find(R"("datatype":"INT64","shape":[3],"data":[0,7,null])"),
            std::string::npos)
      << whole.oip();
  // Behind the JSON, in the order of the outputs.
  OutputSpecs wanted;
  wanted.all_binary(true);
  net::Response response;
  write_oip(three.answer, wanted, response);
  std::string behind;
  for (const Output output : {Output::kProbabilities, Output::kLabel, Output::kValidation})
    put_raw(three.answer, output, behind);
  EXPECT_TRUE(response.body.ends_with("]}" + behind));
}

/// A tensor of a ModelInferResponse, its numbers as text.
struct TensorSeen {
  std::string name, datatype;
  std::vector<std::int64_t> shape;
  std::string contents;
};
std::vector<TensorSeen> tensors(std::string_view message, std::vector<std::string>& raws) {
  std::vector<TensorSeen> seen;
  doc::ProtoReader reader(message);
  while (reader.next()) {
    if (reader.field() == 6) raws.emplace_back(reader.bytes());
    if (reader.field() != 5) continue;
    TensorSeen& tensor = seen.emplace_back();
    doc::ProtoReader members(reader.bytes());
    while (members.next()) {
      switch (members.field()) {
        case 1: tensor.name = members.bytes(); break;
        case 2: tensor.datatype = members.bytes(); break;
        case 3: members.integers(tensor.shape); break;
        case 5: {
          doc::ProtoReader contents(members.bytes());
          while (contents.next()) {
            std::vector<std::int64_t> integers;
            std::vector<float> reals;
            if (contents.field() == 6) contents.reals(reals);
            if (contents.field() == 1 || contents.field() == 3) contents.integers(integers);
            for (const float real : reals) tensor.contents += fmt::format("{} ", real);
            for (const auto integer : integers) tensor.contents += fmt::format("{} ", integer);
            if (contents.field() == 8) tensor.contents += fmt::format("[{}] ", contents.bytes());
          }
        }
      }
    }
    EXPECT_FALSE(members.failed());
  }
  EXPECT_FALSE(reader.failed());
  return seen;
}

TEST(GrpcAnswer, HasTheTensorsOfItsTaskTypedAndRaw) {
  const score::Conformal half{0.9, 0.6};
  const Made made(kWhole, &half);
  std::string typed;
  ASSERT_TRUE(write_grpc(made.answer, {}, typed).ok());
  std::vector<std::string> raws;
  const auto seen = tensors(typed, raws);
  ASSERT_EQ(seen.size(), 4U);
  EXPECT_TRUE(raws.empty());
  EXPECT_EQ(seen[0].name, "probabilities");
  EXPECT_EQ(seen[0].shape, (std::vector<std::int64_t>{3, 3}));
  EXPECT_EQ(seen[0].contents, "0.125 0.5 0.375 0.0625 0.0625 0.875 nan nan nan ");
  EXPECT_EQ(seen[1].datatype, "INT64");
  EXPECT_EQ(seen[1].contents, fmt::format("0 7 {} ", kNoLabel));
  EXPECT_EQ(seen[2].datatype, "BOOL");
  EXPECT_EQ(seen[2].contents, "0 1 0 0 0 1 0 0 0 ");
  EXPECT_EQ(seen[3].contents, "[] [no-circle] [a,b] ");

  GrpcWanted wanted{.raw = true};
  ASSERT_TRUE(wanted.outputs.list("label").ok());
  ASSERT_TRUE(wanted.outputs.list("probabilities").ok());
  std::string message;
  ASSERT_TRUE(write_grpc(made.answer, wanted, message).ok());
  const auto listed = tensors(message, raws);
  ASSERT_EQ(listed.size(), 2U);
  EXPECT_EQ(listed[0].contents + listed[1].contents, "");
  ASSERT_EQ(raws.size(), 2U);
  std::string expected;
  put_raw(made.answer, Output::kProbabilities, expected);
  EXPECT_EQ(raws[0], expected);
}

TEST(Contributions, AreByClass) {
  const std::vector<std::string> names = {"hour", "bias"};
  Made made(kThree);
  std::vector<float> contributions;
  for (int i = 0; i < 18; ++i) contributions.push_back(static_cast<float>(i));
  for (std::size_t i = 12; i < 18; ++i)
    contributions[i] = std::numeric_limits<float>::quiet_NaN();  // the refused row's
  made.answer.contributions = contributions;
  made.answer.contribution_names = names;
  EXPECT_NE(made.plain().find(
                R"("contributions":{"early":{"hour":6,"bias":7},"on \"time\"":{"hour":8,"bias":9},)"
                R"("late":{"hour":10,"bias":11}})"),
            std::string::npos)
      << made.plain();
  EXPECT_NE(made.oip().find(R"({"name":"contributions","datatype":"FP32","shape":[3,3,2],)"),
            std::string::npos)
      << made.oip();
  Made number(kNumber);
  number.answer.contributions = std::span(contributions).first(6);
  number.answer.contribution_names = names;
  EXPECT_NE(number.plain().find(R"({"value":12.5,"contributions":{"hour":0,"bias":1}})"),
            std::string::npos)
      << number.plain();
  EXPECT_NE(number.oip().find(R"({"name":"contributions","datatype":"FP32","shape":[3,2],)"),
            std::string::npos);
}

TEST(Outputs, OnlyThoseOfTheTaskCanBeAskedFor) {
  struct Case {
    const char* name;
    bool binary, three, sets, number, intervals;
  };
  const Case cases[] = {
      {"probability", true, false, false, false, false},
      {"probabilities", false, true, true, false, false},
      {"label", false, true, true, false, false},
      {"set", false, false, true, false, false},
      {"value", false, false, false, true, true},
      {"lower", false, false, false, false, true},
      {"upper", false, false, false, false, true},
      {"validation", true, true, true, true, true},
      {"contributions", true, true, true, true, true},
  };
  for (const Case& each : cases) {
    OutputSpecs wanted;
    ASSERT_TRUE(wanted.list(each.name).ok()) << each.name;
    EXPECT_EQ(wanted.check(Task{}, false).ok(), each.binary) << each.name;
    EXPECT_EQ(wanted.check(kThree, false).ok(), each.three) << each.name;
    EXPECT_EQ(wanted.check(kThree, true).ok(), each.sets) << each.name;
    EXPECT_EQ(wanted.check(kNumber, false).ok(), each.number) << each.name;
    EXPECT_EQ(wanted.check(kNumber, true).ok(), each.intervals) << each.name;
  }
  OutputSpecs wanted;
  EXPECT_EQ(wanted.list("prob").error().id, "oip-output");
  ASSERT_TRUE(wanted.list("set").ok());
  const auto said = wanted.check(kThree, false);
  EXPECT_EQ(said.error().id, "oip-output");
  EXPECT_EQ(said.error().hint,
            "its outputs are `probabilities`, `label`, `validation`, `repairs`, `contributions`");
}

TEST(LabelsOfATask, AreCheckedByItsTypeAndClasses) {
  const double infinity = std::numeric_limits<double>::infinity();
  struct Case {
    const Task* task;
    stats::Label label;
    const char* id;  ///< empty: it is taken
  };
  const Task binary{};
  const Case cases[] = {
      {&binary, true, ""},
      {&binary, 0.0, ""},
      {&binary, 2.0, "label-value"},
      {&binary, std::string("late"), "label-value"},
      {&kThree, std::string("late"), ""},
      {&kThree, std::string("lates"), "label-class-unknown"},
      {&kThree, 1.0, "label-type"},
      {&kThree, true, "label-type"},
      {&kWhole, 7.0, ""},
      {&kWhole, -1.0, ""},
      {&kWhole, 8.0, "label-class-unknown"},
      {&kWhole, 0.5, "label-type"},
      {&kWhole, std::string("7"), "label-type"},
      {&kWhole, infinity, "label-type"},
      {&kNumber, -12.25, ""},
      {&kNumber, infinity, "label-not-finite"},
      {&kNumber, -infinity, "label-not-finite"},
      {&kNumber, std::string("12"), "label-type"},
      {&kNumber, true, "label-type"},
  };
  for (const Case& each : cases) {
    LabelIn in;
    in.row_id = "q-1#0";
    in.label = each.label;
    const auto checked = check_label(in, *each.task);
    EXPECT_EQ(checked.ok() ? "" : checked.error().id, each.id)
        << stats::task_name(each.task->kind) << ": " << stats::to_string(each.label);
    if (!checked.ok()) {
      EXPECT_EQ(checked.error().kind, ErrorKind::kUnprocessable);
    }
  }
  for (const Task* task : {&binary, &kThree, &kNumber})
    EXPECT_EQ(check_label({.row_id = "q-1#0"}, *task).error().id, "label-value");
  LabelIn unknown{.row_id = "q-1#0", .label = stats::Label(std::string("never"))};
  const auto said = check_label(unknown, kThree);
  EXPECT_NE(said.error().message.find("`early`, `on \"time\"`, `late`"), std::string::npos)
      << said.error().message;
  unknown.label = stats::Label(std::string(1'000'000, 'x'));
  EXPECT_LT(check_label(unknown, kThree).error().message.size(), 400U);
}

}  // namespace
}  // namespace heddle::serve
