#pragma once

#include <any>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "spec/contract.hpp"
#include "spec/evaluation.hpp"
#include "spec/fault.hpp"
#include "spec/feature_set.hpp"
#include "spec/model.hpp"
#include "spec/monitor.hpp"
#include "spec/policy.hpp"
#include "spec/service.hpp"
#include "spec/trigger.hpp"
#include "table/input.hpp"

namespace heddle::spec {

struct Person {
  std::string name;
  std::vector<std::string> roles;
  std::vector<std::string> keys;  ///< `ssh-ed25519 AAAA…`
  /// Accounts of the operating system that are this person; numeric where it has no name.
  std::vector<std::string> os_users{};
  doc::Position position{};                        ///< of its name in people.yaml
  std::vector<doc::Position> key_positions{};      ///< one a key
  std::vector<doc::Position> os_user_positions{};  ///< one a user
};

struct ServiceAccount {
  std::string name;
  std::vector<std::string> permissions;           ///< of spec/permissions.hpp
  std::vector<std::string> sources{};             ///< that it may name; empty: any of the Service
  doc::Position position{};                       ///< of its name in people.yaml
  std::vector<doc::Position> source_positions{};  ///< one a source
};

/// A whole project as read from its work tree or from a commit: every definition, by name. A value
/// type.
struct Project {
  std::string root;  ///< absolute path
  std::string
      commit{};  ///< the definitions are this commit's, or were changed since; empty: of no commit
  bool dirty = true;  ///< they differ from the commit's, or there is none
  std::string name;
  /// Where rows are, by name; paths absolute, or relative to root: see `input_of`.
  std::map<std::string, table::Input> sources;
  int control_port = 8010;
  std::vector<Trigger> triggers{};
  std::map<std::string, Contract> contracts;
  std::map<std::string, FeatureSet> feature_sets;
  std::map<std::string, Model> models;
  std::map<std::string, Evaluation> evaluations;
  std::map<std::string, Policy> policies;
  std::map<std::string, Monitor> monitors;
  std::map<std::string, Service> services;
  std::map<std::string, Fault> faults;
  /// Definitions of kinds that a program added, by the kind's name; `NamedKind::find` reads them.
  std::map<std::string, std::any, std::less<>> added{};
  std::vector<Person> people;
  std::vector<ServiceAccount> service_accounts;
};

}  // namespace heddle::spec
