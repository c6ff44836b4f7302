#pragma once

#include <span>
#include <string>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "contract/contract.hpp"
#include "doc/value.hpp"
#include "evaluate/evaluate.hpp"
#include "feature/program.hpp"
#include "flow/step.hpp"
#include "runtime/endpoint.hpp"

namespace heddle::flow {

/// What each step does, by the graph's names; private to this module. Each gets an empty folder for
/// its files.
[[nodiscard]] Result<StepRecord> run_source(Work& work, const std::string& directory);
[[nodiscard]] Result<StepRecord> run_validate_rows(Work& work, const std::string& directory);
[[nodiscard]] Result<StepRecord> run_snapshot(Work& work, const std::string& directory);
[[nodiscard]] Result<StepRecord> run_validate_set(Work& work, const std::string& directory);
[[nodiscard]] Result<StepRecord> run_split(Work& work, const std::string& directory);
[[nodiscard]] Result<StepRecord> run_features(Work& work, const std::string& directory);
[[nodiscard]] Result<StepRecord> run_search(Work& work, const std::string& directory);
/// The recipe of a refit, in place of a search.
[[nodiscard]] Result<StepRecord> run_recipe(Work& work, const std::string& directory);
[[nodiscard]] Result<StepRecord> run_train(Work& work, const std::string& directory);
/// Asks a runtime instead of training.
[[nodiscard]] Result<StepRecord> run_runtime(Work& work, const std::string& directory);
[[nodiscard]] Result<StepRecord> run_standby(Work& work, const std::string& directory);
/// Names what serves the model: the base that gates may read.
[[nodiscard]] Result<StepRecord> run_base(Work& work, const std::string& directory);
[[nodiscard]] Result<StepRecord> run_evaluate(Work& work, const std::string& directory);
[[nodiscard]] Result<StepRecord> run_gates(Work& work, const std::string& directory);
/// `trained`: the step whose model it is, `train` or `standby`.
[[nodiscard]] Result<StepRecord> run_baseline(Work& work, const std::string& directory,
                                              const std::string& trained);
[[nodiscard]] Result<StepRecord> run_bundle(Work& work, const std::string& directory,
                                            const std::string& trained, const std::string& profile,
                                            const std::string& role);

/// The primary of the model's services as the host knows it, or why there is none; what `run_base`
/// depends on.
[[nodiscard]] doc::Value what_serves(const Definitions& definitions, const Host& host,
                                     const Source& source);
/// The answers of the base to rows as they were received, at `times` (empty: they have none). An
/// error is of the run; a base that cannot be asked says why.
[[nodiscard]] Result<evaluate::BaseAnswers> base_answers(Work& work, const table::Table& received,
                                                         std::span<const Micros> times);
/// Workers are started where those of the data plane are, and see as little.
[[nodiscard]] runtime::Host host_of(const Work& work);

/// The step that makes the primary's model: `train`, or `runtime` when Heddle does not train it.
[[nodiscard]] std::string primary_step(const spec::Model& model);

/// Digest of a value's canonical form: positions and order of keys do not count.
[[nodiscard]] Digest digest_of(const doc::Value& value);
/// Files of steps.
[[nodiscard]] Result<Digest> write_output(const std::string& directory, const std::string& name,
                                          std::string_view bytes);
[[nodiscard]] Result<Digest> write_json(const std::string& directory, const std::string& name,
                                        const doc::Value& value);
/// What finished steps left, as the others read it.
[[nodiscard]] Result<RowSplit> split_of(const Work& work);
[[nodiscard]] Result<contract::Contract> contract_of(const Work& work);
[[nodiscard]] Result<feature::Program> program_of(const Work& work);

}  // namespace heddle::flow
