#include "control/request_members.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "doc/json.hpp"

namespace heddle::control {
namespace {

using Type = RequestMember::Type;
using Members = std::vector<RequestMember>;

constexpr std::size_t kShown = 100;  ///< of what a client wrote

constexpr RequestMember text(std::string_view name) { return {name, Type::kText}; }
constexpr RequestMember needed(std::string_view name) { return {name, Type::kText, true}; }
constexpr RequestMember flag(std::string_view name) { return {name, Type::kFlag}; }
constexpr RequestMember number(std::string_view name, std::int64_t least,
                               std::int64_t most = INT64_MAX, bool required = false) {
  return {name, Type::kNumber, required, least, most};
}
constexpr RequestMember object(std::string_view name, bool required = false) {
  return {name, Type::kObject, required};
}

/// With who asks, proven by a signature or not.
Members asked_for(Members members) {
  members.push_back(text("requester"));
  members.push_back(object("signed"));
  return members;
}
/// With the person whose own act it is.
Members by_person(Members members) {
  members.push_back(text("person"));
  members.push_back(object("signed"));
  return members;
}

const std::map<std::string_view, Members>& table() {
  static const Members kOfIncident = by_person({needed("id"), needed("reason"), flag("again")});
  static const Members kOfSource = by_person(
      {needed("service"), needed("source"), text("account"), needed("reason"), flag("again")});
  static const std::map<std::string_view, Members> kTable = {
      {"status", {}},
      {"watermark", {needed("service")}},
      {"approval.list", {flag("all")}},
      {"approval.show", {needed("id")}},
      {"approval.approve", {needed("id"), needed("person"), needed("signature")}},
      {"approval.reject", by_person({needed("id"), needed("reason")})},
      {"release.promote", asked_for({needed("service"), text("slot"), text("bundle"),
                                     number("weight", 0), flag("again")})},
      {"release.rollback", asked_for({needed("service"), flag("again")})},
      {"release.compare", {needed("service"), text("bundle")}},
      {"release.canary", {needed("service")}},
      {"release.abort", asked_for({needed("service"), flag("again")})},
      {"release.shadow", asked_for({needed("service"), text("bundle"), flag("again")})},
      {"release.history", {needed("service")}},
      {"incident.list", {}},
      {"incident.show", {needed("id")}},
      {"incident.open", by_person({needed("service"), needed("reason"), text("source"),
                                   text("account"), flag("again")})},
      {"incident.acknowledge", kOfIncident},
      {"incident.comment", kOfIncident},
      {"incident.close", kOfIncident},
      {"quarantine.list", {}},
      {"quarantine.show",
       {needed("service"), text("source"), number("limit", 1, 10'000), number("before", 0)}},
      {"quarantine.add", kOfSource},
      {"quarantine.release", kOfSource},
      {"decision.list", {number("from", 0)}},
      {"audit.verify", {}},
      {"audit.rebuild", asked_for({})},
      {"audit.restore", {needed("reason"), needed("person"), object("signed", true)}},
      {"audit.prove", {number("seq", 0, INT64_MAX, true)}},
      {"metric.series", {needed("service")}},
      {"access.list", {text("service")}},
      {"score.open", {needed("service"), text("slot")}},
      {"score.record", asked_for({needed("service"), object("profile", true)})},
      {"definition.apply", asked_for({text("revision")})},
      {"stop", asked_for({needed("service")})},
      {"resume", by_person({text("service")})},
      {"clock.set", by_person({needed("service"), needed("jump"), needed("reason")})},
  };
  return kTable;
}

std::string_view wanted(Type type) {
  switch (type) {
    case Type::kText: return "a text";
    case Type::kFlag: return "true or false";
    case Type::kNumber: return "an integer";
    default: return "an object";
  }
}

bool is_of(const doc::Value& value, Type type) {
  switch (type) {
    case Type::kText: return value.is_string();
    case Type::kFlag: return value.is_bool();
    case Type::kNumber: return value.is_int();
    default: return value.is_object();
  }
}

Error wrong(std::string_view operation, const RequestMember& member, std::string_view what) {
  return {ErrorKind::kInvalid, "request-member",
          fmt::format("`{}` of `{}` {}", member.name, operation, what),
          fmt::format("it is {}{}: see docs/operations.md", wanted(member.type),
                      member.required ? "" : ", or left out")};
}

Result<void> check_member(std::string_view operation, const RequestMember& member,
                          const doc::Value* value) {
  if (value == nullptr || value->is_null()) {
    if (!member.required) return {};
    return wrong(operation, member, "is missing");
  }
  if (!is_of(*value, member.type))
    return wrong(operation, member, fmt::format("is `{}`", doc::to_json(*value).substr(0, kShown)));
  if (member.required && member.type == Type::kText && value->as_string().empty())
    return wrong(operation, member, "is empty");
  if (member.type != Type::kNumber) return {};
  const std::int64_t number = value->as_int();
  if (number < member.least)
    return wrong(operation, member, fmt::format("is {}, and at least {}", number, member.least));
  if (number > member.most)
    return wrong(operation, member, fmt::format("is {}, and at most {}", number, member.most));
  return {};
}

}  // namespace

std::span<const RequestMember> request_members(std::string_view operation) {
  const auto at = table().find(operation);
  HEDDLE_CHECK(at != table().end(), "an operation without request members");
  return at->second;
}

Result<void> check_request(std::string_view operation, const doc::Value& request) {
  const auto members = request_members(operation);
  for (const auto& [name, value] : request.as_object()) {
    const bool known =
        std::any_of(members.begin(), members.end(),
                    [&, &given = name](const auto& one) { return one.name == given; });
    if (known) continue;
    std::vector<std::string> names;
    for (const auto& one : members) names.push_back(fmt::format("`{}`", one.name));
    return Error{
        ErrorKind::kInvalid, "request-unknown-member",
        fmt::format("`{}` has no member `{}`", operation, name.substr(0, kShown)),
        names.empty() ? "its request is empty" : fmt::format("known: {}", fmt::join(names, ", "))};
  }
  for (const RequestMember& member : members)
    HEDDLE_TRY(check_member(operation, member, request.find(member.name)));
  return {};
}

}  // namespace heddle::control
