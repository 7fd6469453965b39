//! Errors of the ECS API: the codes, and the answer that carries one.
//!
//! The pipeline decides by [`ErrorCode`], never by the message; what is repeated after
//! which code says [`Class`](crate::client::Class). Codes that it doesn't
//! decide by are `Other` and keep their text. Which status goes with a code is the
//! server's business.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::http::HttpResponse;
use crate::text_enum::text_enum;

text_enum! {
    /// The codes of ECS that the pipeline or a server of the protocol names.
    pub enum ErrorCode {
        // Signatures and credentials.
        IncompleteSignature => "IncompleteSignature",
        SignatureDoesNotMatch => "SignatureDoesNotMatch",
        SignatureNonceUsed => "SignatureNonceUsed",
        IllegalTimestamp => "IllegalTimestamp",
        InvalidTimeStampExpired => "InvalidTimeStamp.Expired",
        InvalidAccessKeyIdNotFound => "InvalidAccessKeyId.NotFound",
        InvalidSecurityTokenMismatch => "InvalidSecurityToken.MismatchWithAccessKey",
        InvalidSecurityTokenExpired => "InvalidSecurityToken.Expired",
        // Rights.
        NoPermission => "NoPermission",
        ForbiddenRam => "Forbidden.RAM",
        ForbiddenUnauthorized => "Forbidden.Unauthorized",
        ForbiddenSubUser => "Forbidden.SubUser",
        ForbiddenRiskControl => "Forbidden.RiskControl",
        ForbiddenAccessKeyDisabled => "Forbidden.AccessKeyDisabled",
        InvalidUserPassRoleForbidden => "InvalidUser.PassRoleForbidden",
        RealNameAuthenticationError => "RealNameAuthenticationError",
        // Requests.
        InvalidAction => "InvalidAction",
        InvalidActionNotFound => "InvalidAction.NotFound",
        InvalidVersion => "InvalidVersion",
        MissingParameter => "MissingParameter",
        InvalidParameter => "InvalidParameter",
        InvalidParameterConflict => "InvalidParameter.Conflict",
        InvalidParameterMismatch => "InvalidParameter.Mismatch",
        UnsupportedParameter => "UnsupportedParameter",
        DryRunOperation => "DryRunOperation",
        InvalidNextToken => "Invalid.NextToken",
        RegionIdApiNotSupported => "RegionId.ApiNotSupported",
        InvalidRegionIdNotFound => "InvalidRegionId.NotFound",
        InvalidResourceTypeNotFound => "InvalidResourceType.NotFound",
        InvalidResourceIdNotFound => "InvalidResourceId.NotFound",
        InvalidResourceGroupNotFound => "InvalidResourceGroup.NotFound",
        InvalidNameMalformed => "InvalidName.Malformed",
        InvalidDescriptionMalformed => "InvalidDescription.Malformed",
        DuplicateTagKey => "Duplicate.TagKey",
        InvalidTagKeyMalformed => "InvalidTagKey.Malformed",
        InvalidTagValueMalformed => "InvalidTagValue.Malformed",
        // Idempotency.
        IdempotentParameterMismatch => "IdempotentParameterMismatch",
        IdempotenceParamNotMatch => "IdempotenceParamNotMatch",
        InvalidIdempotenceParameterMismatch => "InvalidIdempotenceParameter.Mismatch",
        /// The misspelling is the cloud's.
        InvalidParamterConflict => "InvalidParamter.Conflict",
        InvalidClientTokenValueNotSupported => "InvalidClientToken.ValueNotSupported",
        IdempotentProcessing => "IdempotentProcessing",
        LastTokenProcessing => "LastTokenProcessing",
        OperationConflict => "OperationConflict",
        InvalidOperationConflict => "InvalidOperation.Conflict",
        // Load and faults.
        Throttling => "Throttling",
        ThrottlingUser => "Throttling.User",
        ThrottlingApi => "Throttling.Api",
        InternalError => "InternalError",
        InternalErrorDispatch => "InternalError.Dispatch",
        ServiceUnavailable => "ServiceUnavailable",
        ServiceUnavailableRegionMaintaining => "ServiceUnavailable.RegionMaintaining",
        // Money and quotas.
        AccountArrearage => "Account.Arrearage",
        InsufficientBalance => "InsufficientBalance",
        InvalidAccountStatusNotEnoughBalance => "InvalidAccountStatus.NotEnoughBalance",
        InvalidAccountStatusSnapshotServiceUnavailable => "InvalidAccountStatus.SnapshotServiceUnavailable",
        ChargeTypeViolation => "ChargeTypeViolation",
        QuotaExceedElasticQuota => "QuotaExceed.ElasticQuota",
        QuotaExceedImage => "QuotaExceed.Image",
        QuotaExceedSnapshot => "QuotaExceed.Snapshot",
        QuotaExceedConcurrentSnapshotQuota => "QuotaExceed.ConcurrentSnapshotQuota",
        QuotaExceedShareImage => "QuotaExceed.ShareImage",
        QuotaExceedShareImageUser => "QuotaExceed.ShareImageUser",
        ImageQuotaExceedImageFamily => "ImageQuotaExceed.ImageFamily",
        ImageFamilyQuotaExceed => "ImageFamilyQuotaExceed",
        // Instances.
        OperationDeniedNoStock => "OperationDenied.NoStock",
        ZoneNotOnSale => "Zone.NotOnSale",
        ZoneNotOpen => "Zone.NotOpen",
        InvalidZoneIdNotFound => "InvalidZoneId.NotFound",
        InvalidInstanceTypeNotFound => "InvalidInstanceType.NotFound",
        InvalidInstanceTypeNotSupported => "InvalidInstanceType.NotSupported",
        InvalidInstanceTypeZoneNotSupported => "InvalidInstanceType.ZoneNotSupported",
        InvalidInstanceTypeValueNotSupported => "InvalidInstanceType.ValueNotSupported",
        ImageNotSupportInstanceType => "ImageNotSupportInstanceType",
        CategoryNotSupported => "CategoryNotSupported",
        InvalidDiskSizeTooSmall => "InvalidDiskSize.TooSmall",
        InvalidSystemDiskSizeLessThanImageSize => "InvalidSystemDiskSize.LessThanImageSize",
        InvalidSecurityGroupId => "InvalidSecurityGroupId",
        InvalidSecurityGroupIdNotFound => "InvalidSecurityGroupId.NotFound",
        SecurityGroupInstanceLimitExceed => "SecurityGroupInstanceLimitExceed",
        InvalidVSwitchIdNotFound => "InvalidVSwitchId.NotFound",
        InvalidVSwitchIdNotExist => "InvalidVSwitchId.NotExist",
        // Networks. The first two spellings of a vSwitch are ECS's, the third is Vpc's.
        InvalidVswitchIdNotFound => "InvalidVswitchID.NotFound",
        InvalidVpcIdNotFound => "InvalidVpcId.NotFound",
        InvalidVpcIDNotFound => "InvalidVpcID.NotFound",
        InvalidCidrBlockMalformed => "InvalidCidrBlock.Malformed",
        InvalidCidrBlockOverlapped => "InvalidCidrBlock.Overlapped",
        DependencyViolation => "DependencyViolation",
        DependencyViolationVSwitch => "DependencyViolation.VSwitch",
        DependencyViolationSecurityGroup => "DependencyViolation.SecurityGroup",
        DependencyViolationInstance => "DependencyViolation.Instance",
        QuotaExceedVpc => "QuotaExceeded.Vpc",
        // Instances again.
        InvalidRamRoleNotFound => "InvalidRamRole.NotFound",
        InvalidUserDataSizeExceeded => "InvalidUserData.SizeExceeded",
        InvalidSpotPriceLimitLowerThanPublicPrice => "InvalidSpotPriceLimit.LowerThanPublicPrice",
        InvalidAutoReleaseTimeMalformed => "InvalidAutoReleaseTime.Malformed",
        InvalidInstanceIdNotFound => "InvalidInstanceId.NotFound",
        InvalidInstanceIdsMalformed => "InvalidInstanceIds.Malformed",
        IncorrectInstanceStatus => "IncorrectInstanceStatus",
        IncorrectInstanceStatusInitializing => "IncorrectInstanceStatus.Initializing",
        IncorrectInstanceStatusNeedRestart => "IncorrectInstanceStatus.NeedRestart",
        InvalidOperationDeletionProtection => "InvalidOperation.DeletionProtection",
        // Cloud Assistant.
        InvalidInstanceNotFound => "InvalidInstance.NotFound",
        InvalidInstanceNotMatch => "InvalidInstance.NotMatch",
        InvalidCmdTypeNotFound => "InvalidCmdType.NotFound",
        InvalidCmdIdNotFound => "InvalidCmdId.NotFound",
        InvalidInvokeIdNotFound => "InvalidInvokeId.NotFound",
        CmdNameExceedLimit => "CmdName.ExceedLimit",
        CmdDescExceedLimit => "CmdDesc.ExceedLimit",
        CmdContentExceedLimit => "CmdContent.ExceedLimit",
        CmdCountExceedQuota => "CmdCount.ExceedQuota",
        InstanceIdsExceedLimit => "InstanceIds.ExceedLimit",
        UsernameExceedLimit => "Username.ExceedLimit",
        ParameterCountExceedLimit => "ParameterCount.ExceedLimit",
        ParameterKeyExceedLimit => "ParameterKey.ExceedLimit",
        ParameterKeyDuplicate => "ParameterKey.Duplicate",
        ParameterNotMatched => "Parameter.NotMatched",
        ParameterDisabled => "Parameter.Disabled",
        MissingParamFrequency => "MissingParam.Frequency",
        InvalidParamFrequency => "InvalidParam.Frequency",
        // Images.
        InvalidImageIdNotFound => "InvalidImageId.NotFound",
        InvalidImageNotFound => "InvalidImage.NotFound",
        InvalidImageNameMalformed => "InvalidImageName.Malformed",
        InvalidImageNameDuplicated => "InvalidImageName.Duplicated",
        InvalidImageFamilyMalformed => "InvalidImageFamily.Malformed",
        IncorrectImageStatus => "IncorrectImageStatus",
        SizeExceedImage => "SizeExceed.Image",
        ImageUsingByInstance => "ImageUsingByInstance",
        ImageUseShared => "ImageUseShared",
        ImageIsImporting => "ImageIsImporting",
        ImageIsExporting => "ImageIsExporting",
        OperationDenied => "OperationDenied",
        OperationDeniedSameRegionOnly => "OperationDenied.SameRegionOnly",
        OperationDeniedImageCopyConflict => "OperationDenied.ImageCopyConflict",
        OperationDeniedImageCopying => "OperationDenied.ImageCopying",
        IncorrectDestinationRegion => "IncorrectDestinationRegion",
        ImageCreatedNotFromCopy => "ImageCreatedNotFromCopy",
        CancelNotSupported => "CancelNotSupported",
        InvalidAccountNotFound => "InvalidAccount.NotFound",
        /// The misspelling is the cloud's.
        OperationDeinedEncryptedSnapshot => "OperationDeined.EncryptedSnapshot",
        // Disks and snapshots.
        InvalidDiskIdNotFound => "InvalidDiskId.NotFound",
        IncorrectDiskStatus => "IncorrectDiskStatus",
        IncorrectDiskStatusCreatingSnapshot => "IncorrectDiskStatus.CreatingSnapshot",
        IncorrectDiskStatusNeverAttached => "IncorrectDiskStatus.NeverAttached",
        InvalidSnapshotIdNotFound => "InvalidSnapshotId.NotFound",
        InvalidSnapshotIdNotReady => "InvalidSnapshotId.NotReady",
        SnapshotNotReady => "SnapshotNotReady",
        SnapshotCreatedImage => "SnapshotCreatedImage",
        SnapshotCreatedDisk => "SnapshotCreatedDisk",
    }
}

impl ErrorCode {
    /// Whether it says that a named thing doesn't exist.
    pub fn is_not_found(&self) -> bool {
        let text = self.as_str();
        text.ends_with(".NotFound") || text.ends_with(".NotExist")
    }
}

/// An error answer of ECS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message} (request {request_id})")]
pub struct ApiError {
    /// The code.
    pub code: ErrorCode,
    /// A sentence for people.
    pub message: String,
    /// Id of the request, for support.
    pub request_id: String,
    /// The status of the answer.
    pub http_status: u16,
    /// The server's name, such as `ecs.aliyuncs.com`.
    pub host_id: String,
    /// Address of a page about the error, often empty.
    pub recommend: String,
}

impl ApiError {
    /// An error as a server makes it.
    pub fn new(http_status: u16, code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            http_status,
            ..Self::default()
        }
    }

    /// The body of the answer as JSON.
    pub fn to_json(&self) -> Value {
        json!({
            "RequestId": self.request_id,
            "HostId": self.host_id,
            "Code": self.code,
            "Message": self.message,
            "Recommend": self.recommend,
        })
    }

    /// Reads an error answer; `None` when it isn't one of ECS.
    pub fn from_response(response: &HttpResponse) -> Option<Self> {
        let body: Value = serde_json::from_slice(&response.body).ok()?;
        let text = |name: &str| {
            body.get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let code = body.get("Code")?.as_str()?;
        Some(Self {
            code: ErrorCode::from(code),
            message: text("Message"),
            request_id: text("RequestId"),
            http_status: response.status,
            host_id: text("HostId"),
            recommend: text("Recommend"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_code_comes_back_from_its_text() {
        let mut seen = HashSet::new();
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from(code.as_str()), *code);
            assert!(seen.insert(code.as_str()), "{code} is listed twice");
        }
        let odd = ErrorCode::from("Odd.Code");
        assert_eq!(serde_json::to_string(&odd).unwrap(), "\"Odd.Code\"");
        assert_eq!(odd, ErrorCode::Other("Odd.Code".into()));
    }

    #[test]
    fn an_answer_survives_the_way_there_and_back() {
        let error = ApiError {
            request_id: "r-1".into(),
            ..ApiError::new(404, ErrorCode::InvalidImageIdNotFound, "no such image")
        };
        let body = serde_json::to_vec(&error.to_json()).unwrap();
        let mut response = HttpResponse {
            status: 404,
            headers: Vec::new(),
            body: body.into(),
        };
        assert_eq!(ApiError::from_response(&response), Some(error));
        response.body = bytes::Bytes::from_static(b"<html>");
        assert_eq!(ApiError::from_response(&response), None);
    }
}
