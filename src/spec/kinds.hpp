#pragma once

#include "spec/keys.hpp"
#include "spec/project.hpp"

namespace heddle::spec {

/// heddle.yaml before its names are resolved.
struct ProjectFile {
  std::string name;
  std::vector<std::string> owners{};
  std::map<std::string, std::string> sources{};
  std::map<std::string, doc::Position> source_positions{};
  int control_port = 8010;
};

struct PeopleFile {
  std::vector<Person> people{};
  std::vector<ServiceAccount> service_accounts{};
};

/// The contracts of an ODCS document, one a schema object: `NAME`, or `NAME/OBJECT` each where
/// there are several.
[[nodiscard]] std::vector<Contract> read_contracts(const doc::Value& value, Reader& reader);

/// The table of each kind. The objects live as long as the program.
[[nodiscard]] const Object& contract_kind();
[[nodiscard]] const Object& feature_set_kind();
[[nodiscard]] const Object& model_kind();
[[nodiscard]] const Object& evaluation_kind();
[[nodiscard]] const Object& policy_kind();
[[nodiscard]] const Object& monitor_kind();
[[nodiscard]] const Object& service_kind();
[[nodiscard]] const Object& project_kind();
[[nodiscard]] const Object& people_kind();

}  // namespace heddle::spec
