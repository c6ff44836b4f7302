// people.yaml: who is who, and what an account may name.
#include <fmt/format.h>

#include "spec/spec_fixture.hpp"

namespace heddle::spec {
namespace {

TEST_F(SpecTest, NobodyCouldApprove) {
  change("people.yaml", "roles: [approver]", "roles: [reader]");
  EXPECT_EQ(findings(), (Lines{"policies/p.yaml:6:5: error[nobody-approves]: rule `ask` asks role "
                               "`approver`, which nobody has"}));
}

TEST_F(SpecTest, AnAccountNamesSourcesThatAServiceDeclares) {
  const auto with = [&](const std::string& sources) {
    put("people.yaml",
        "apiVersion: heddle/v1\nkind: People\npeople: []\nservice_accounts:\n  - {name: bot, "
        "permissions: [predict], sources: " +
            sources + "}\n");
    std::vector<std::string> ids;
    const auto loaded = load_project(root_);
    EXPECT_TRUE(loaded.ok());
    for (const auto& each : loaded->diagnostics) {
      // Nobody is there to approve any more: another test's matter.
      if (each.file != "people.yaml") continue;
      ids.push_back(each.id);
      EXPECT_EQ(each.position.line, 5) << "its own place";
    }
    return ids;
  };
  const auto declared = load_project(root_)->project.services.begin()->second.sources;
  ASSERT_FALSE(declared.empty());
  const std::string& known = declared.front();
  EXPECT_EQ(with("[" + known + "]"), Lines{});
  EXPECT_EQ(with("[]"), Lines{});
  EXPECT_EQ(with("[" + known + ", " + known + "]"), Lines{"duplicate-name"});
  for (const char* odd : {"default", "\"\"", "\"a\\nb\"", "\"*\"", "nobody"})
    EXPECT_EQ(with(std::string("[") + odd + "]"), Lines{"unknown-name"}) << odd;
}

TEST_F(SpecTest, OnePersonHasOneName) {
  const std::string key =
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB5L5Hbr7Y1hrrV1p9J1Lw8mRGyZ0nSsnX5yBxYxMzEy";
  const auto with = [&](const std::string& people) {
    put("people.yaml", "apiVersion: heddle/v1\nkind: People\npeople:\n" + people +
                           "service_accounts:\n  - {name: bot, permissions: [predict]}\n");
    std::vector<std::string> ids;
    const auto loaded = load_project(root_);
    EXPECT_TRUE(loaded.ok());
    for (const auto& each : loaded->diagnostics) ids.push_back(each.id);
    return ids;
  };
  const auto person = [&](const std::string& name, const std::string& rest) {
    return fmt::format("  - {{name: \"{}\", roles: [approver], {}}}\n", name, rest);
  };
  EXPECT_TRUE(with(person("ada", "keys: [\"" + key + " ada@laptop\"], os_users: [ada, root]") +
                   person("ben.b@x", "os_users: [ben]"))
                  .empty());
  // The comment of a key is nobody's signature.
  EXPECT_EQ(with(person("ada", "keys: [\"" + key + " ada\"]") +
                 person("ben", "keys: [\"" + key + " ben\"]")),
            Lines{"people-key-shared"});
  EXPECT_EQ(with(person("ada", "os_users: [root]") + person("ben", "os_users: [x, root]")),
            Lines{"people-os-user-shared"});
  for (const char* bad :
       {"ssh-ed25519 broken", "ada",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIB5L5Hbr7Y1hrrV1p9J1Lw8mRGyZ0nSsnX5yBxYxMzEy"}) {
    EXPECT_EQ(with(person("ada", fmt::format("keys: [\"{}\"]", bad))), Lines{"people-key"}) << bad;
  }
  for (const char* name :
       {"*", "", "agent:recover", "system:root", "a b", "a\\nb", "../x", "bot"}) {
    EXPECT_EQ(with(person("ada", "keys: []") + person(name, "keys: []")), Lines{"people-name"})
        << name;
  }
  for (const char* user : {"*", "", "a b", "a\\nb"}) {
    EXPECT_EQ(with(person("ada", fmt::format("os_users: [\"{}\"]", user))), Lines{"people-os-user"})
        << user;
  }
  for (const char* role : {"*", "", "a\\nb"}) {
    EXPECT_EQ(with(fmt::format("  - {{name: ada, roles: [approver, \"{}\"]}}\n", role)),
              Lines{"people-role"})
        << role;
  }
}

TEST_F(SpecTest, NamesOfProgramsAndSourcesMeanNothingButThemselves) {
  const auto ids_with = [&](const std::string& account, const std::string& source) {
    put("people.yaml",
        "apiVersion: heddle/v1\nkind: People\npeople:\n  - {name: ada, roles: [approver], keys: "
        "[]}\nservice_accounts:\n  - " +
            account);
    put("services/s.yaml",
        "apiVersion: heddle/v1\nkind: Service\nname: s\nmodel: m\nmonitor: w\nsources: [a, \"" +
            source + "\"]\n");
    std::vector<std::string> ids;
    const auto loaded = load_project(root_);
    EXPECT_TRUE(loaded.ok());
    for (const auto& each : loaded->diagnostics) ids.push_back(each.id);
    return ids;
  };
  EXPECT_TRUE(ids_with("{name: bot, permissions: [predict]}\n", "b").empty());
  for (const char* name : {"../x", ".x", "a/b", "*", "", "agent:recover", "a\\nb"}) {
    EXPECT_EQ(ids_with(fmt::format("{{name: \"{}\", permissions: []}}\n", name), "b"),
              Lines{"people-name"})
        << name;
  }
  for (const char* source : {"default", "", "*", "a/b", "b\\n", "b c"}) {
    EXPECT_EQ(ids_with("{name: bot, permissions: []}\n", source), Lines{"source-name"}) << source;
  }
  EXPECT_EQ(ids_with("{name: bot, permissions: []}\n", "a"), Lines{"duplicate-name"});
  // It was read once and never used: the token lies where the name says.
  EXPECT_EQ(ids_with("{name: bot, permissions: [], token_file: x}\n", "b"), Lines{"unknown-key"});
}

TEST_F(SpecTest, APersonsDiagnosticPointsAtWhatItIsAbout) {
  const std::string key =
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB5L5Hbr7Y1hrrV1p9J1Lw8mRGyZ0nSsnX5yBxYxMzEy";
  put("people.yaml",
      "apiVersion: heddle/v1\nkind: People\npeople:\n"
      "  - name: ada\n    roles: [approver]\n    keys:\n      - " +
          key +
          " ada\n      - \"none\"\n"
          "    os_users: [root]\n"
          "  - name: ben\n    roles: [approver]\n    keys: [\"" +
          key +
          " ben\"]\n"
          "    os_users: [x, root]\n"
          "  - {roles: [approver], name: ada}\n"
          "  - name: a b\n    roles: [approver]\n"
          "service_accounts:\n  - name: bot\n    permissions: [predict, fly]\n"
          "  - {permissions: [read], name: bot}\n");
  Lines places;
  const auto loaded = load_project(root_);
  ASSERT_TRUE(loaded.ok());
  for (const auto& each : loaded->diagnostics) {
    places.push_back(fmt::format("{}:{} {}", each.position.line, each.position.column, each.id));
  }
  std::sort(places.begin(), places.end());
  EXPECT_EQ(places, (Lines{"12:12 people-key-shared", "13:19 people-os-user-shared",
                           "14:31 duplicate-name", "15:11 people-name", "19:28 unknown-value",
                           "20:33 duplicate-name", "8:9 people-key"}));
}

}  // namespace
}  // namespace heddle::spec
