//! What `wit-bindgen` makes of the contract.

wit_bindgen::generate!({
    path: "wit",
    world: "setup-script",
    pub_export_macro: true,
    default_bindings_module: "nshost_sdk::bindings",
});
