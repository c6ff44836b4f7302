// What is released can be loaded, and is of the model that its service serves.
#include "control/servable.hpp"

#include <gtest/gtest.h>

#include "score/bundle_fixture.hpp"

namespace heddle::control {
namespace {

class ServableTest : public testing::Test {
 protected:
  bundle::Bundle packed(bool break_parity = false) {
    return bundle::open(objects_, score::fixture::pack(objects_, 0.25, break_parity).value())
        .value();
  }
  /// A bundle one of whose layers has these bytes.
  bundle::Bundle with(std::string_view layer, const std::string& bytes) {
    const auto made = packed();
    auto layers = made.layers();
    for (auto& each : layers) {
      if (each.title == layer) each.bytes = bytes;
    }
    return bundle::open(objects_, bundle::pack(objects_, std::move(layers), made.config()).value())
        .value();
  }

  store::fixture::MemoryObjects objects_;
};

TEST_F(ServableTest, ABundleThatCannotBeLoadedIsToldWithItsReason) {
  EXPECT_TRUE(check_loads(packed()).ok());
  const auto refused = [](const bundle::Bundle& bundle) {
    const auto checked = check_loads(bundle);
    EXPECT_FALSE(checked.ok());
    if (checked.ok()) return std::string();
    EXPECT_EQ(checked.error().kind, ErrorKind::kCorrupt) << checked.error().str();
    EXPECT_TRUE(checked.error().message.starts_with("bundle " + bundle.digest().short_str()));
    EXPECT_FALSE(checked.error().hint.empty());
    return checked.error().message;
  };
  const std::string model(packed().layer(bundle::kModel).value());
  for (const std::string& cut : {std::string("{}"), model.substr(0, model.size() / 2)})
    EXPECT_NE(refused(with(bundle::kModel, cut)).find("`model.json`"), std::string::npos) << cut;
  EXPECT_NE(refused(packed(true)).find("reference row"), std::string::npos);
  EXPECT_NE(
      refused(with(bundle::kCalibration, R"({"format":"heddle.calibration/1","offsets":[1,2]})"))
          .find("calibration"),
      std::string::npos);
}

TEST_F(ServableTest, AServiceTakesTheBundlesOfItsModel) {
  const auto bundle = packed();  // of model `trips`
  spec::Project project;
  auto& late = project.services["late"];
  late.identity.name = "late";
  late.model = "delay";
  EXPECT_EQ(check_model(bundle, project, late).error().id, "release-other-model");
  EXPECT_NE(check_model(bundle, project, late)
                .error()
                .message.find("is of model `trips`, service `late` serves model `delay`"),
            std::string::npos);
  auto& other = project.services["second"];
  other.identity.name = "second";
  other.model = "trips";
  EXPECT_NE(check_model(bundle, project, late).error().hint.find("`second`"), std::string::npos);
  EXPECT_TRUE(check_model(bundle, project, other).ok());
}

}  // namespace
}  // namespace heddle::control
