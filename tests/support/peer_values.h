// The functions of peer_values, a program that writes what Vitrine computes, for the Python peers to compare with.
#ifndef VITRINE_TESTS_SUPPORT_PEER_VALUES_H_
#define VITRINE_TESTS_SUPPORT_PEER_VALUES_H_

#include <string>
#include <vector>

namespace vitrine::testing {

/// The words behind the function's name. Each function's file says which there are; others are an Error.
using Arguments = std::vector<std::string>;

void dump_grad_cam(const Arguments& arguments);       // tests/eval
void dump_losses(const Arguments& arguments);         // tests/train/losses
void dump_models(const Arguments& arguments);         // tests/models
void dump_preprocessing(const Arguments& arguments);  // tests/teacher
void dump_weights(const Arguments& arguments);        // tests/models

}  // namespace vitrine::testing

#endif  // VITRINE_TESTS_SUPPORT_PEER_VALUES_H_
