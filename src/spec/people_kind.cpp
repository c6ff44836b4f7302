#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include <fmt/format.h>

#include "spec/kinds.hpp"
#include "spec/never.hpp"
#include "spec/permissions.hpp"
#include "spec/ssh_key.hpp"

namespace heddle::spec {
namespace {

constexpr const char* kFile = "people.yaml";
constexpr std::string_view kPlain = kPlainName;

class PeopleCheck {
 public:
  PeopleCheck(const Project& project, std::vector<doc::Diagnostic>& out)
      : project_(project), out_(out) {}

  void run() {
    // Accounts first: no person may have the name of one.
    for (const auto& account : project_.service_accounts) check(account);
    for (const auto& person : project_.people) check(person);
  }

 private:
  void report(doc::Position at, const char* id, std::string message, std::string hint) {
    doc::Diagnostic diagnostic;
    diagnostic.id = id;
    diagnostic.message = std::move(message);
    diagnostic.file = kFile;
    diagnostic.position = at;
    diagnostic.hint = std::move(hint);
    out_.push_back(std::move(diagnostic));
  }

  /// Its name is that of the file with its token.
  void check(const ServiceAccount& account) {
    unique(accounts_, account.name, account.position, "service account");
    check_sources(account);
    // The name is also a file's: a `.` at its beginning would hide the file, or lead out of the
    // folder.
    if (is_plain_name(account.name) && account.name.front() != '.' && account.name.front() != '-')
      return;
    report(
        account.position, "people-name",
        fmt::format("`{}` cannot be the name of a service account", account.name),
        fmt::format("{}, not with a `.` or `-` first: its token is the file `.heddle/tokens/NAME`",
                    kPlain));
  }

  /// A source that no service declares is one that nobody can name.
  void check_sources(const ServiceAccount& account) {
    std::vector<std::string> declared;
    for (const auto& [name, service] : project_.services)
      declared.insert(declared.end(), service.sources.begin(), service.sources.end());
    std::set<std::string> seen;
    for (std::size_t i = 0; i < account.sources.size(); ++i) {
      const std::string& source = account.sources[i];
      const doc::Position at =
          i < account.source_positions.size() ? account.source_positions[i] : account.position;
      if (!seen.insert(source).second) {
        report(at, "duplicate-name",
               fmt::format("`{}` has the source `{}` more than once", account.name, source),
               "name it once");
      } else if (std::find(declared.begin(), declared.end(), source) == declared.end()) {
        const auto near = doc::nearest(source, declared);
        report(at, "unknown-name",
               fmt::format("no service declares the source `{}` of account `{}`", source,
                           account.name),
               near.empty() ? "add it to `sources` of a Service"
                            : fmt::format("did you mean `{}`?", near));
      }
    }
  }

  void check(const Person& person) {
    unique(names_, person.name, person.position, "person");
    check_name(person);
    for (const auto& role : person.roles) {
      // `*` would be a pattern where a rule names the role.
      const bool is_role = !role.empty() && std::all_of(role.begin(), role.end(), [](char c) {
        return static_cast<unsigned char>(c) >= 0x20 && c != '*';
      });
      if (is_role) continue;
      report(person.position, "people-role",
             fmt::format("`{}` has the role `{}`, which is no name", person.name, role),
             "one line, without `*`: a rule says `role:NAME`");
    }
    for (std::size_t i = 0; i < person.keys.size(); ++i)
      check_key(person, person.keys[i], place_of(person.key_positions, i, person));
    for (std::size_t i = 0; i < person.os_users.size(); ++i)
      check_user(person, person.os_users[i], place_of(person.os_user_positions, i, person));
  }

  void check_name(const Person& person) {
    if (!is_plain_name(person.name)) {
      report(person.position, "people-name",
             fmt::format("`{}` cannot be the name of a person", person.name),
             fmt::format("{}: it stands in rules, signatures and the ledger", kPlain));
    } else if (accounts_.contains(person.name)) {
      report(person.position, "people-name",
             fmt::format("`{}` is a person and a service account", person.name),
             "give the program another name: it is no person");
    }
  }

  void check_key(const Person& person, const std::string& key, doc::Position at) {
    const auto bytes = ssh_public_key(key);
    if (!bytes.ok()) {
      report(at, "people-key",
             fmt::format("`{}` has a key that cannot be taken: {}", person.name,
                         bytes.error().message),
             bytes.error().hint);
      return;
    }
    one_person("people-key-shared", "SSH key", keys_, *bytes, person, at);
  }

  void check_user(const Person& person, const std::string& user, doc::Position at) {
    const bool is_name = !user.empty() && std::all_of(user.begin(), user.end(), [](char c) {
      return static_cast<unsigned char>(c) > 0x20 && c != '*' && c != ':' && c != ',';
    });
    if (!is_name) {
      report(at, "people-os-user",
             fmt::format("`{}` of `{}` is no account of an operating system", user, person.name),
             "write the name that `id -un` says, or the number of `id -u` where it has no name");
      return;
    }
    one_person("people-os-user-shared", fmt::format("system's user `{}`", user), users_, user,
               person, at);
  }

  /// Two names for one person would be two people: who asked as the one could approve as the other.
  void one_person(const char* id, const std::string& what,
                  std::map<std::string, std::string>& owners, const std::string& value,
                  const Person& person, doc::Position at) {
    const auto [owner, fresh] = owners.try_emplace(value, person.name);
    // A key that a person has twice makes nobody two people.
    if (fresh || owner->second == person.name) return;
    report(at, id, fmt::format("`{}` and `{}` have the same {}", owner->second, person.name, what),
           "a person has one name; let each have an own one");
  }

  void unique(std::set<std::string>& seen, const std::string& name, doc::Position at,
              std::string_view what) {
    if (name.empty() || seen.insert(name).second) return;
    report(at, "duplicate-name", fmt::format("{} `{}` appears twice", what, name),
           "rename one of the two");
  }

  static doc::Position place_of(const std::vector<doc::Position>& positions, std::size_t i,
                                const Person& person) {
    return i < positions.size() ? positions[i] : person.position;
  }

  const Project& project_;
  std::vector<doc::Diagnostic>& out_;
  std::set<std::string> accounts_, names_;
  std::map<std::string, std::string> keys_, users_;  ///< whose they are
};

/// Where each text of the list `key` stands; one text alone is a list of one.
std::vector<doc::Position> positions_of(const doc::Value& object, std::string_view key) {
  const doc::Value* member = object.find(key);
  if (member == nullptr) return {};
  if (!member->is_array()) return {member->position()};
  std::vector<doc::Position> positions;
  for (const doc::Value& item : member->as_array()) {
    if (item.is_string()) positions.push_back(item.position());
  }
  return positions;
}

const Schema<Project>& people_keys() {
  static const Schema<Person> person = [] {
    Schema<Person> t("a person", "somebody who may approve");
    t.text("name", &Person::name, "as in approvals and the ledger").required();
    t.texts("roles", &Person::roles, "what policy rules ask for").required();
    t.texts("keys", &Person::keys, "SSH public keys, `ssh-ed25519 AAAA...`");
    t.texts("os_users", &Person::os_users,
            "users of the operating system that are this person: their commands are this person's");
    t.finally([](Person& into, const doc::Value& value, Reader&) {
      into.position = position_of(value, "name");
      into.key_positions = positions_of(value, "keys");
      into.os_user_positions = positions_of(value, "os_users");
    });
    return t;
  }();
  static const Schema<ServiceAccount> account = [] {
    Schema<ServiceAccount> t("a service account", "a program that may call the endpoints");
    t.text("name", &ServiceAccount::name,
           "its name; its token is the file `.heddle/tokens/NAME`, which `heddle up` makes")
        .required();
    t.texts("permissions", &ServiceAccount::permissions,
            fmt::format("what it may do: {}", permission_list()))
        .required();
    t.texts(
        "sources", &ServiceAccount::sources,
        "sources that it may name, and no others; of one, all its requests are; without it, any "
        "of the Service");
    t.finally([](ServiceAccount& into, const doc::Value& value, Reader& reader) {
      into.source_positions = positions_of(value, "sources");
      into.position = position_of(value, "name");
      const auto positions = positions_of(value, "permissions");
      for (std::size_t i = 0; i < into.permissions.size(); ++i) {
        if (permission_named(into.permissions[i])) continue;
        reader.report(i < positions.size() ? positions[i] : value.position(), "unknown-value",
                      fmt::format("there is no permission `{}`", into.permissions[i]),
                      fmt::format("the permissions are {}", permission_list()));
      }
    });
    return t;
  }();
  static const Schema<Project> table = [] {
    Schema<Project> t("People", "people.yaml: who may approve, which programs may call");
    add_head(t, "People");
    t.objects("people", &Project::people, person, "the persons");
    t.objects("service_accounts", &Project::service_accounts, account, "the programs");
    return t;
  }();
  return table;
}

class PeopleKind final : public Kind {
 public:
  [[nodiscard]] std::string_view name() const noexcept override { return "People"; }
  [[nodiscard]] std::string_view file() const noexcept override { return "people.yaml"; }
  [[nodiscard]] const ObjectSchema& keys() const override { return people_keys(); }
  void read(const DefinitionFile& file, Project& project) const override {
    Reader(file.text, file.path, file.diagnostics).read(people_keys(), file.value, &project);
  }
  void check(const Checking& all) const override {
    PeopleCheck(all.project(), all.diagnostics()).run();
  }
  void visit(const Project&, const std::function<void(const Identity&)>&) const override {}
};

}  // namespace

const Kind& people_kind() {
  static const PeopleKind kind;
  return kind;
}

}  // namespace heddle::spec
