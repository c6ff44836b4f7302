#pragma once

#include <vector>

#include "base/registry.hpp"
#include "spec/kind.hpp"

namespace heddle::spec {

inline constexpr double kLargestPort = 65'535;

/// The kinds there are, in the order in which files are read and checks are made: a file
/// `NAME_kind.cpp` each, which has its keys and its checks, and a row here.
[[nodiscard]] Registry<Kind>& kinds();

[[nodiscard]] const Kind& project_kind();
[[nodiscard]] const Kind& people_kind();
[[nodiscard]] const Kind& contract_kind();
[[nodiscard]] const Kind& feature_set_kind();
[[nodiscard]] const Kind& model_kind();
[[nodiscard]] const Kind& evaluation_kind();
[[nodiscard]] const Kind& policy_kind();
[[nodiscard]] const Kind& monitor_kind();
[[nodiscard]] const Kind& service_kind();
[[nodiscard]] const Kind& fault_kind();

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
