#include "doc/schema.hpp"

#include <gtest/gtest.h>

#include "doc/schema_conformance.hpp"
#include "doc/schema_custom.hpp"

namespace heddle::doc {
namespace {

enum class Colour { kRed, kGreen };

struct Wheel {
  std::string name;
  std::uint32_t spokes = 0;
  bool operator==(const Wheel&) const = default;
};

struct Cart {
  std::string name;
  Colour colour = Colour::kRed;
  double load = 0;
  bool covered = false;
  std::optional<std::int64_t> number{};
  std::string note{};
  Micros made = 0;
  Digest plan{};
  std::vector<std::string> owners{};
  std::vector<std::int64_t> trips{};
  std::vector<double> weights{};
  std::vector<Digest> papers{};
  Wheel spare{};
  std::vector<Wheel> wheels{};
  std::map<std::string, int> stock{};
  Value extra = Value::object();
  bool operator==(const Cart&) const = default;
};

struct Stocked {
  std::string what;
  int count = 0;
};

const Schema<Wheel>& wheel_schema() {
  static const auto schema = [] {
    auto t = Schema<Wheel>::record("the wheel", "one wheel");
    t.text("name", &Wheel::name, "its name").filled();
    t.integer("spokes", &Wheel::spokes, "how many").between(0, 100);
    return t;
  }();
  return schema;
}

const Schema<Cart>& cart_schema() {
  static const auto stocked = [] {
    auto t = Schema<Stocked>::record("the stock", "what is on it");
    t.text("what", &Stocked::what, "its name");
    t.integer("count", &Stocked::count, "how many");
    return t;
  }();
  static const auto schema = [] {
    auto t = Schema<Cart>::record("the cart", "a cart with its wheels");
    t.of_format("test.cart/1").refused_as(ErrorKind::kCorrupt, "cart-malformed", "build it again");
    t.text("name", &Cart::name, "its name").filled();
    t.choice("colour", &Cart::colour, {{"red", Colour::kRed}, {"green", Colour::kGreen}},
             "its colour");
    t.number("load", &Cart::load, "share of what it bears").between(0, 1);
    t.boolean("covered", &Cart::covered, "whether it has a cover");
    t.integer("number", &Cart::number, "of its plate");
    t.text("note", &Cart::note, "for people").optional();
    t.micros("made", &Cart::made, "when");
    t.digest("plan", &Cart::plan, "of its plan; empty: none");
    t.texts("owners", &Cart::owners, "their names");
    t.integers("trips", &Cart::trips, "lengths");
    t.numbers("weights", &Cart::weights, "of what was on it");
    t.digests("papers", &Cart::papers, "of its papers");
    t.object("spare", &Cart::spare, wheel_schema(), "the fifth wheel");
    t.objects("wheels", &Cart::wheels, wheel_schema(), "the wheels");
    t.objects_as(
        "stock", stocked, "what is on it",
        [](const Cart& from) {
          std::vector<Stocked> items;
          for (const auto& [what, count] : from.stock) items.push_back({what, count});
          return items;
        },
        [](Cart& into, const std::vector<Stocked>& items) {
          for (const auto& [what, count] : items) into.stock[what] = count;
        });
    t.value("extra", &Cart::extra, Shape::kMap, "whatever else");
    t.finally([](Cart& into, const Value&, Reader& reader) {
      if (into.wheels.size() > 4) reader.refuse("wheels", "must be four at most");
    });
    return t;
  }();
  return schema;
}

Cart full_cart() {
  Cart cart;
  cart.name = "a";
  cart.colour = Colour::kGreen;
  cart.load = 0.5;
  cart.number = 7;
  cart.note = "n";
  cart.made = -5;
  cart.plan = sha256("plan");
  cart.owners = {"o"};
  cart.trips = {3};
  cart.weights = {1.5};
  cart.papers = {sha256("paper")};
  cart.spare = {"s", 3};
  cart.wheels = {{"w", 100}};
  cart.stock = {{"corn", 2}};
  cart.extra.set("k", 1);
  return cart;
}

std::string refusal(const Value& value) {
  const auto read = cart_schema().parse(value);
  return read.ok() ? "accepted" : read.error().message;
}

TEST(Schema, ARecordOfEveryShapeKeepsTheSuite) {
  RecordConformance<Cart>(cart_schema(), full_cart()).run("");
}

TEST(Schema, WhatIsReadIsWhatWasPrinted) {
  const Cart cart = full_cart();
  const auto again = cart_schema().parse(cart_schema().print(cart));
  ASSERT_TRUE(again.ok()) << again.error().str();
  EXPECT_EQ(*again, cart);
}

TEST(Schema, KeysArePrintedInTheirOrderAndWhatIsOptionalOnlyWhenItIsThere) {
  Cart cart;
  cart.name = "a";
  EXPECT_EQ(to_json(cart_schema().print(cart)),
            R"({"format":"test.cart/1","name":"a","colour":"red","load":0.0,"covered":false,)"
            R"("made":0,"plan":"","owners":[],"trips":[],"weights":[],"papers":[],)"
            R"("spare":{"name":"","spokes":0},"wheels":[],"stock":[],"extra":{}})");
}

TEST(Schema, FindingsOfARecordSayThePath) {
  const auto with = [](auto change) {
    Value value = cart_schema().print(full_cart());
    change(value);
    return refusal(value);
  };
  EXPECT_EQ(with([](Value& v) { v.find("wheels")->as_array()[0].set("spokes", "many"); }),
            "the cart: `wheels[0].spokes` must be an integer, found a string");
  EXPECT_EQ(with([](Value& v) { v.find("spare")->set("spokes", 101); }),
            "the cart: `spare.spokes` must be at most 100");
  EXPECT_EQ(with([](Value& v) { v.set("load", 1.5); }), "the cart: `load` must be at most 1");
  EXPECT_EQ(with([](Value& v) { v.set("owners", "o"); }),
            "the cart: `owners` must be a list of strings, found a string");
  EXPECT_EQ(with([](Value& v) { v.find("papers")->push("sha256:12"); }),
            "the cart: `papers` must be a list of digests");
  EXPECT_EQ(with([](Value& v) { v.find("trips")->push(-1); }),
            "the cart: `trips` must be at least 0");
  EXPECT_EQ(with([](Value& v) { v.find("spare")->set("name", ""); }),
            "the cart: `spare.name` must not be empty");
  EXPECT_EQ(with([](Value& v) { v.set("format", "test.cart/2").set("name", 1); }),
            "the cart: its format is `test.cart/2`, this Heddle reads `test.cart/1`");
  EXPECT_EQ(with([](Value& v) { v.set("name", 1).set("load", true); }),
            "the cart: `name` must be a string, found an integer, and 1 more");
  EXPECT_EQ(with([](Value& v) {
              for (int i = 0; i < 4; ++i)
                v.find("wheels")->push(Value::object({{"name", "w"}, {"spokes", 1}}));
            }),
            "the cart: `wheels` must be four at most");
}

TEST(Schema, NumbersThatDoNotFitAreRefused) {
  Value value = cart_schema().print(full_cart());
  value.find("spare")->set("spokes", std::int64_t{1} << 32);
  EXPECT_EQ(refusal(value), "the cart: `spare.spokes` must be at most 100");
  struct Small {
    std::int8_t n = 0;
  };
  auto small = Schema<Small>::record("it", "");
  small.integer("n", &Small::n, "a byte");
  EXPECT_EQ(small.parse(Value::object({{"n", 128}})).error().message,
            "it: `n` must be at most 127");
}

TEST(Schema, JsonSchemaAndTheTableOfAPageSayTheSame) {
  const auto value = schema_of(cart_schema());
  const auto& properties = *value.find("properties");
  EXPECT_EQ(to_json(*properties.find("format")), R"({"const":"test.cart/1"})");
  EXPECT_EQ(to_json(*properties.find("plan")),
            R"({"type":"string","pattern":"^(sha256:[0-9a-f]{64})?$",)"
            R"("description":"of its plan; empty: none"})");
  EXPECT_EQ(to_json(*properties.find("trips")),
            R"({"type":"array","items":{"type":"integer","minimum":0.0},"description":"lengths"})");
  EXPECT_EQ(to_json(*properties.find("owners")->find("items")), R"({"type":"string"})");
  // All but the optional ones.
  EXPECT_EQ(value.find("required")->size(), cart_schema().keys.size() + 1 - 2);
  const auto table = key_table(cart_schema());
  EXPECT_NE(table.find("| `format` | a string | yes | `test.cart/1` |\n"), std::string::npos);
  EXPECT_NE(table.find("| `note` | a string |  | for people |\n"), std::string::npos);
  EXPECT_NE(table.find("| `wheels[].spokes` | an integer | yes | how many |\n"), std::string::npos);
}

struct Gauge {
  double reading = 0;
  std::optional<Wheel> wheel{};
  std::map<std::string, int> marks{};  ///< members that begin with `mark_`
};

const Schema<Gauge>& gauge_schema() {
  static const auto schema = [] {
    auto t = Schema<Gauge>::record("the gauge", "a gauge");
    t.refused_as(ErrorKind::kCorrupt, "gauge-malformed", "build it again");
    number_or_null(t, "reading", &Gauge::reading, "what it shows");
    object_or_null(t, "wheel", &Gauge::wheel, wheel_schema(), "what it is driven by");
    other_members<Gauge>(
        t, "`mark_NAME`, a mark each",
        [](Gauge& into, const Value& value, Reader& reader) {
          for (const auto& [name, member] : value.as_object()) {
            if (name == "reading" || name == "wheel") continue;
            if (!name.starts_with("mark_")) {
              reader.refuse_unknown(name);
            } else if (member.is_int()) {
              into.marks[name] = static_cast<int>(member.as_int());
            }
          }
        },
        [](const Gauge& from, Value& into) {
          for (const auto& [name, mark] : from.marks) into.set(name, mark);
        });
    return t;
  }();
  return schema;
}

TEST(Schema, WhatMayBeNullIsThereAllTheSame) {
  RecordConformance<Gauge>(gauge_schema(), {0.5, Wheel{"w", 3}, {{"mark_a", 1}}}).run("");
  const Gauge unknown{std::numeric_limits<double>::quiet_NaN(), {}, {}};
  const Value printed = gauge_schema().print(unknown);
  EXPECT_EQ(to_json(printed), R"({"reading":null,"wheel":null})");
  const auto read = gauge_schema().parse(printed);
  ASSERT_TRUE(read.ok()) << read.error().str();
  EXPECT_TRUE(std::isnan(read->reading));
  EXPECT_FALSE(read->wheel.has_value());
  EXPECT_EQ(gauge_schema().parse(Value::object({{"reading", nullptr}})).error().message,
            "the gauge: `wheel` is missing");
  EXPECT_NE(key_table(gauge_schema()).find("| `wheel` | an object or null | yes |"),
            std::string::npos);
  EXPECT_NE(key_table(gauge_schema()).find("| `...` | anything | | `mark_NAME`, a mark each |"),
            std::string::npos);
}

}  // namespace
}  // namespace heddle::doc
