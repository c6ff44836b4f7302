#pragma once

#include <vector>

#include "spec/kind.hpp"

namespace heddle::spec {

inline constexpr double kLargestPort = 65'535;

/// The table of kinds, in the order in which `heddle schema` names them. A kind is a row here and
/// the file `NAME_kind.cpp`, which has its keys and its checks.
[[nodiscard]] const std::vector<Kind>& kind_table();

[[nodiscard]] Kind project_kind();
[[nodiscard]] Kind people_kind();
[[nodiscard]] Kind contract_kind();
[[nodiscard]] Kind feature_set_kind();
[[nodiscard]] Kind model_kind();
[[nodiscard]] Kind evaluation_kind();
[[nodiscard]] Kind policy_kind();
[[nodiscard]] Kind monitor_kind();
[[nodiscard]] Kind service_kind();

/// The contracts of an ODCS document, one a schema object: `NAME`, or `NAME/OBJECT` each where
/// there are several.
[[nodiscard]] std::vector<Contract> read_contracts(const doc::Value& value, Reader& reader);
/// The same of a file, each with its identity.
[[nodiscard]] std::vector<Contract> contracts_of(const DefinitionFile& file);

/// Findings that concern several definitions, or one as a whole: names, expressions, cycles, files.
/// Features are put in an order in which each follows what it reads.
void check_project(Project& project, const Texts& texts, const Files& files,
                   std::vector<doc::Diagnostic>& diagnostics);

}  // namespace heddle::spec
