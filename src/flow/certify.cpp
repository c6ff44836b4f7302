// The certificate of a bundle whose model was there before it.
#include <algorithm>
#include <filesystem>

#include "base/file.hpp"
#include "doc/json.hpp"
#include "flow/bodies.hpp"
#include "flow/own.hpp"
#include "parity/certify.hpp"
#include "runtime/spec.hpp"
#include "score/plan.hpp"
#include "train/signature.hpp"

namespace heddle::flow {
namespace {

namespace fs = std::filesystem;
using spec::Runtime;

constexpr std::int64_t kCertifiedRows = 200;

/// The columns that the library is asked with: fields as its owner has them. A feature set with
/// features of its own is what the model reads, and then there is no other form.
Runtime::Inputs inputs_for_library(const spec::Exec& exec, const contract::Contract& contract,
                                   const feature::Program& program) {
  const auto fields = contract.request_fields();
  const auto& names = program.feature_names();
  const bool are_fields = std::all_of(names.begin(), names.end(), [&](const auto& name) {
    return std::any_of(fields.begin(), fields.end(),
                       [&](const spec::Field& field) { return field.name == name; });
  });
  return exec.inputs == Runtime::Inputs::kFields || are_fields ? Runtime::Inputs::kFields
                                                               : Runtime::Inputs::kFeatures;
}

/// Asks the library that wrote the model, in a process of its own, which the bundle's worker is
/// not.
Result<std::vector<float>> ask_library(Work& work, const std::string& folder,
                                       const contract::Contract& contract,
                                       const feature::Program& program,
                                       const table::Table& accepted) {
  spec::Exec exec = *work.definitions().model->exec;
  exec.inputs = inputs_for_library(exec, contract, program);
  train::OwnRows rows;
  if (exec.inputs == Runtime::Inputs::kFields) {
    HEDDLE_ASSIGN_OR_RETURN(rows.valid, fields_of(accepted, contract.request_fields()));
  } else {
    HEDDLE_ASSIGN_OR_RETURN(const auto matrix, program.apply(accepted));
    rows.valid =
        columns_of(matrix, {program.feature_names().begin(), program.feature_names().end()});
  }
  rows.train = rows.valid.slice(0, 1);
  rows.train_codes.assign(1, 0);
  rows.valid_codes.assign(static_cast<std::size_t>(rows.valid.rows()), 0);
  HEDDLE_ASSIGN_OR_RETURN(auto training, prepare_own_rows(work, folder, exec, rows));
  training.may_lack = true;
  HEDDLE_ASSIGN_OR_RETURN(auto fitted, train::fit_own(training, [](std::string_view) {}));
  return std::move(fitted.predictions);
}

Result<std::unique_ptr<const score::Plan>> plan_in_the_making(const Assembly& assembly) {
  const auto contract = assembly.contract->to_value();
  const auto features = assembly.features->to_value();
  if (assembly.runtime.has_value())
    return score::Plan::from_runtime(contract, features, *assembly.runtime, assembly.files,
                                     assembly.task, assembly.calibration, assembly.host);
  return score::Plan::from_parts(contract, features, assembly.model, assembly.task,
                                 assembly.calibration);
}

void note_probes(Work& work, const bundle::ParityCertificate& certificate) {
  for (const auto& probe : certificate.probes) {
    if (probe.unanswered > 0)
      work.note("bundle", fmt::format("the model has no answer for a row with {}", probe.what));
  }
}

}  // namespace

Result<std::string> certify_adopted(Work& work, const Assembly& assembly,
                                    const std::string& directory) {
  if (assembly.trainer.empty()) return std::string();
  HEDDLE_ASSIGN_OR_RETURN(const auto trainer, doc::parse_json(assembly.trainer));
  const doc::Value* const adopted = trainer.find("adopted");
  if (adopted == nullptr) return std::string();
  HEDDLE_ASSIGN_OR_RETURN(const auto signature, train::signature_schema().parse(*adopted));
  const std::string folder = directory + "/parity";
  const std::string asked = directory + "/library";
  HEDDLE_TRY(make_dirs(folder));
  HEDDLE_ASSIGN_OR_RETURN(const auto probed,
                          parity::make_probes(assembly.contract->request_fields(),
                                              assembly.reference_rows, kCertifiedRows));
  HEDDLE_ASSIGN_OR_RETURN(const auto plan, plan_in_the_making(assembly));
  parity::Certifying certifying{plan.get(), &probed, {}, 0, folder};
  certifying.tolerance = work.definitions().model->exec->worker.tolerance;
  certifying.library = [&](const table::Table& accepted) {
    return ask_library(work, asked, *assembly.contract, *assembly.features, accepted);
  };
  auto certificate = parity::certify(certifying);
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  fs::remove_all(asked, ignored);
  HEDDLE_TRY(certificate);
  const std::string runtime =
      assembly.runtime ? doc::to_json(runtime::to_value(*assembly.runtime)) : std::string();
  certificate->subject = bundle::subject_of(assembly.model, runtime, assembly.files);
  certificate->library = signature.library;
  certificate->format = signature.kind;
  certificate->scored_by = assembly.runtime ? "worker" : "engine";
  note_probes(work, *certificate);
  work.note("bundle", "parity: " + certificate->in_words());
  return doc::to_json(bundle::parity_schema().print(*certificate));
}

}  // namespace heddle::flow
